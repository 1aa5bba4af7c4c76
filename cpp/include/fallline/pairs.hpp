// A quasi-Newton method's history: pairs of a step s and the gradient's change y over it. What a
// step needs of them is a pass for their inner products and one for their linear combination; the
// recursion between is arithmetic on m numbers, not on vectors.
#pragma once
#include <cstddef>
#include <vector>

#include "fallline/types.hpp"

namespace fallline {

struct Pairs {
  const void* const* s;  // oldest first
  const void* const* y;
  std::size_t count;
  std::size_t size;  // elements of each
  DType type;        // f64 or f32: of all vectors here
};

// s ← α s, x ← x + s, y ← g − g₋; then, for every pair and last the new one, s_i·y, s_i·g, y_i·y,
// y_i·g.
struct NewPair {
  void* s;
  void* y;
  const void* gradient;
  const void* before;
  void* x;
  double alpha;
};
inline constexpr std::size_t products_of_pair = 4;

// d = c g + Σ (a_i s_i + b_i y_i), formed in float64; x₊ = x + α d.
struct Combination {
  const double* s_weights;
  const double* y_weights;
  double g_weight;
  double alpha;
  const void* gradient;
  const void* x;
  void* direction;
  void* trial;
};

// What a pass forms beside its vectors: products_of_pair a pair and g·g, or d·g and d·d.
using Sums = std::vector<double>;

Sums pair_products(const Pairs& pairs, const NewPair& added, int threads);
Sums pair_combination(const Pairs& pairs, const Combination& wanted, int threads);
double dot(DType type, std::size_t size, const void* a, const void* b, int threads);

}  // namespace fallline
