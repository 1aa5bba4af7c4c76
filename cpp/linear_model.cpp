#include "fallline/linear_model.hpp"

#include "fallline/leaves.hpp"

namespace fallline {

std::size_t LinearModel::work(std::size_t size) const {
  std::size_t row = samples_.features;
  if (samples_.sparse()) {
    const auto entries =
        samples_.wide
            ? std::size_t(static_cast<const std::int64_t*>(samples_.indptr)[samples_.rows])
            : std::size_t(static_cast<const std::int32_t*>(samples_.indptr)[samples_.rows]);
    row = 4 * (entries / samples_.rows + 1);  // each entry looks for its parameter in memory
  }
  return size * (row * samples_.outputs / 4 + 8);
}

bool LinearModel::is_along_rows() const {
  return !samples_.sparse() && samples_.outputs == 1 && terms().l2 == 0.0;
}

void LinearModel::along_row(const Request& request, RowGradient& gradient) const {
  active_objectives().dense_row({&samples_, &request, head_, nullptr}, gradient);
}

double LinearModel::loss_along_row(const RowGradient& gradient) const {
  return active_objectives().dense_row_loss(head_, gradient);
}

double LinearModel::accumulate(const Request& request, int threads, Workspace& workspace) const {
  if (samples_.sparse()) return accumulate_sparse(request, threads, workspace);
  const LinearBatch batch{&samples_, &request, head_, nullptr};
  const std::size_t rows = Leaves(request.size, params()).rows;
  return sum_leaves(*this, request, type(), scratch_size(samples_, rows), threads, workspace,
                    [&](std::size_t begin, std::size_t n, void* partial, double* scratch) {
                      return active_objectives().dense_rows(batch, begin, n, partial, scratch);
                    });
}

double LinearModel::accumulate_sparse(const Request& request, int threads,
                                      Workspace& workspace) const {
  const std::size_t k = samples_.outputs;
  // A leaf's part of the product is its outputs' slopes here: the rest is formed by columns.
  const Leaves leaves(request.size, k);
  const std::size_t scratch = scratch_size(samples_, 0);
  const auto parts = std::size_t(threads);
  workspace.resize(leaves.count * (k + 1) + request.size * k + parts * scratch);
  double* intercepts = workspace.data();
  double* losses = intercepts + leaves.count * k;
  double* own = losses + leaves.count;
  const LinearBatch batch{&samples_, &request, head_, own + parts * scratch};

  run_each(leaves.count, work(request.size), threads, [&](std::size_t i, std::size_t part) {
    const DefaultFloatEnvironment environment;
    const std::size_t begin = i * leaves.rows;
    losses[i] =
        active_objectives().sparse_rows(batch, begin, std::min(leaves.rows, request.size - begin),
                                        intercepts + i * k, own + part * scratch);
  });
  if (request.product) {
    run(work(request.size) + samples_.weights() / 4, threads,
        [&](std::size_t part, std::size_t of) {
          const DefaultFloatEnvironment environment;
          active_objectives().sparse_columns(batch, samples_.features * part / of,
                                             samples_.features * (part + 1) / of, request.product);
        });
    if (samples_.intercept)
      active_objectives().combine(
          DType::f64, type(), intercepts, leaves.count, k, 0, k, request.scale,
          static_cast<char*>(request.product) + samples_.weights() * item_size[int(type())]);
  }
  return tree_sum(std::span(losses, leaves.count));
}

}  // namespace fallline
