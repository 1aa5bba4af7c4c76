// A batch's samples cut into leaves, whose sums are joined in a fixed tree: where the cuts lie
// depends on the sizes of the batch and of the model alone, and so do the bits.
#pragma once
#include <algorithm>
#include <cmath>
#include <span>

#include "fallline/dispatch.hpp"
#include "fallline/float_environment.hpp"
#include "fallline/objective.hpp"
#include "fallline/parallel.hpp"
#include "fallline/step.hpp"

namespace fallline {

struct Leaves {
  std::size_t rows;  // of each but the last
  std::size_t count;

  // Up to 64 leaves of at least 32 rows, of small models up to 256, so that joining the partial
  // products costs little beside them; of large models fewer leaves, down to 8, so that the
  // products stay within some 2^22 numbers.
  Leaves(std::size_t size, std::size_t params) {
    const std::size_t most =
        std::clamp<std::size_t>((std::size_t{1} << 22) / std::max<std::size_t>(params, 1), 8, 64);
    const std::size_t least =
        std::clamp<std::size_t>((std::size_t{1} << 16) / std::max<std::size_t>(params, 1), 32, 256);
    rows = std::max((size + most - 1) / most, least);
    rows = (rows + block_rows - 1) / block_rows * block_rows;
    count = (size + rows - 1) / rows;
  }
};

// Σ over a batch's leaves; the product becomes scale times theirs. `leaf(begin, n, partial,
// scratch)` returns a leaf's loss and fills its partial product, numbers of type `partial_type`.
template <class Leaf>
double sum_leaves(const Objective& objective, const Request& request, DType partial_type,
                  std::size_t scratch_size, int threads, Workspace& workspace, const Leaf& leaf) {
  const std::size_t params = request.product ? objective.params() : 0;
  const Leaves leaves(request.size, objective.params());
  // Whole cache lines each, so that no two threads write to one.
  const auto lines = [](std::size_t bytes) { return (bytes + 63) / 64 * 8; };
  const std::size_t stride = lines(params * item_size[int(partial_type)]);
  const std::size_t scratch = lines(scratch_size * sizeof(double));
  const auto parts = std::size_t(threads);
  workspace.resize(8 + leaves.count + leaves.count * stride + parts * scratch);
  const auto address = reinterpret_cast<std::uintptr_t>(workspace.data());
  double* partials = workspace.data() + (64 - address % 64) % 64 / sizeof(double);
  double* own = partials + leaves.count * stride;
  double* losses = own + parts * scratch;

  const auto evaluate = [&](std::size_t i, std::size_t k) {
    const std::size_t begin = i * leaves.rows;
    losses[i] = leaf(begin, std::min(leaves.rows, request.size - begin),
                     static_cast<void*>(partials + i * stride), own + k * scratch);
  };
  const auto join = [&](std::size_t begin, std::size_t end) {
    active_objectives().combine(partial_type, objective.type(), partials, leaves.count,
                                stride * sizeof(double) / item_size[int(partial_type)], begin, end,
                                request.scale, request.product);
  };
  // Of small fits; a thread's environment costs 6 ns each time.
  if (leaves.count == 1 && params / 8 < parallel_grain) {
    if (partial_type == objective.type() && request.scale == 1.0)  // one sample a step, say
      return leaf(0, request.size, request.product, own);
    evaluate(0, 0);
    if (params > 0) join(0, params);
    return losses[0];
  }
  run_each(leaves.count, objective.work(request.size), threads, [&](std::size_t i, std::size_t k) {
    const DefaultFloatEnvironment environment;
    evaluate(i, k);
  });
  if (params > 0)
    run(params * leaves.count / 8, threads, [&](std::size_t k, std::size_t of) {
      const DefaultFloatEnvironment environment;
      join(params * k / of, params * (k + 1) / of);
    });
  return tree_sum(std::span(losses, leaves.count));
}

}  // namespace fallline
