// The function pointers that one ISA offers.
#pragma once
#include "fallline/pairs.hpp"
#include "fallline/types.hpp"

namespace fallline {

struct RuleInfo {
  const char* name;
  const char* coefficients;  // "keep, l2, beta1, …", as the rule declares them
  int slots;
  int sums;
};

struct KernelTable {
  const char* isa;
  const RuleInfo* rules;
  int rule_count;
  std::size_t* bytes_ahead;  // fetch.hpp

  // Elements [begin, begin + n) of a tensor, from a tile's boundary on: decode → rule → encode.
  // Sum s of the rule over the k-th of these tiles goes to sums[s * stride + k], where `sums` is
  // not null. Returns true where a scaled gradient is not finite.
  bool (*update)(const Tensor& tensor, const Cohort& cohort, std::size_t begin, std::size_t n,
                 Scratch& scratch, double* sums, std::size_t stride);

  // Σ (factor·g)² over one tile, in float64 and in the canonical order; `finite` is cleared where
  // a value is not finite.
  double (*sum_squares)(const Tensor& tensor, double factor, std::size_t begin, std::size_t n,
                        Scratch& scratch, bool* finite);

  // A step of a rule without slots and sums along one sample's gradient, unscaled, from parameters
  // of at most one tile to others: Σ g², as sum_squares forms it.
  double (*step_along)(const Cohort& cohort, const RowGradient& g, const void* from, void* to);

  // One tile of what pairs.hpp defines; a sum's partials are `stride` apart from the next sum's.
  void (*pair_products)(const Pairs& pairs, const NewPair& added, std::size_t begin, std::size_t n,
                        double* sums, std::size_t stride);
  void (*pair_combination)(const Pairs& pairs, const Combination& wanted, std::size_t begin,
                           std::size_t n, double* sums, std::size_t stride);
  double (*dot)(DType type, std::size_t begin, std::size_t n, const void* a, const void* b);
};

}  // namespace fallline
