// What the bindings call: one step over all tensors, tiles shared out over threads.
#pragma once
#include <span>
#include <vector>

#include "fallline/kernel_table.hpp"

namespace fallline {

// Where each tensor's work lies on the line of all work; fixed until a tensor joins or leaves.
class Layout {
 public:
  void rebuild(std::span<const Tensor> tensors);

  std::size_t work() const { return work_.back(); }
  std::size_t tiles() const { return tiles_.back(); }
  std::size_t tiles_before(std::size_t tensor) const { return tiles_[tensor]; }

  struct Position {
    std::size_t tensor;
    std::size_t element;
  };
  // Start of part `k` of `parts` equal parts, on a tile's boundary.
  Position part(std::span<const Tensor> tensors, std::size_t k, std::size_t parts) const;

 private:
  std::vector<std::size_t> work_{0};
  std::vector<std::size_t> tiles_{0};
};

inline constexpr std::size_t no_tensor = ~std::size_t{0};

// Updates every tensor that has a gradient. Returns the first tensor with a non-finite gradient,
// else no_tensor. `sums` takes max_sums totals per cohort where rules report
// them; `partials` is the caller's buffer, grown when needed and kept between steps.
std::size_t update(const KernelTable& kernels, std::span<const Tensor> tensors,
                   std::span<const Cohort> cohorts, const Layout& layout, int threads,
                   std::vector<double>& partials, std::span<double> sums);

struct SumSquares {
  double total;
  std::size_t first_nonfinite;
};
SumSquares sum_squares(const KernelTable& kernels, std::span<const Tensor> tensors, double factor,
                       const Layout& layout, int threads, std::vector<double>& partials);

// Adds `values` in a fixed binary tree over their positions, in place.
double tree_sum(std::span<double> values);

}  // namespace fallline
