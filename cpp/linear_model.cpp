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
  active_objectives().dense_row({&samples_, &request, head_}, gradient);
}

double LinearModel::loss_along_row(const RowGradient& gradient) const {
  return active_objectives().dense_row_loss(head_, gradient);
}

double LinearModel::accumulate(const Request& request, int threads, Workspace& workspace) const {
  if (samples_.sparse()) return accumulate_sparse(request, threads, workspace);
  const LinearBatch batch{&samples_, &request, head_};
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
  const std::size_t column_work = work(request.size) + samples_.weights() / 4;
  const std::size_t parts = std::min(std::size_t(threads), 1 + column_work / parallel_grain);
  workspace.resize(leaves.count * (k + 1) + std::size_t(threads) * scratch + request.size * k +
                   (request.size + 1) * (parts + 1));
  double* intercepts = workspace.data();
  double* losses = intercepts + leaves.count * k;
  double* own = losses + leaves.count;
  double* slopes = own + std::size_t(threads) * scratch;
  auto* columns = reinterpret_cast<std::int64_t*>(slopes + request.size * k);
  for (std::size_t part = 0; part <= parts; ++part)
    columns[part] = std::int64_t(samples_.features * part / parts);
  const LinearBatch batch{&samples_, &request, head_, slopes, columns + parts + 1, parts, columns};

  run_each(leaves.count, work(request.size), threads, [&](std::size_t i, std::size_t thread) {
    const DefaultFloatEnvironment environment;
    const std::size_t begin = i * leaves.rows;
    losses[i] =
        active_objectives().sparse_rows(batch, begin, std::min(leaves.rows, request.size - begin),
                                        intercepts + i * k, own + thread * scratch);
  });
  if (request.product) {
    run_each(parts, column_work, threads, [&](std::size_t part, std::size_t) {
      const DefaultFloatEnvironment environment;
      active_objectives().sparse_columns(batch, part, request.product);
    });
    if (samples_.intercept)
      active_objectives().combine(
          DType::f64, type(), intercepts, leaves.count, k, 0, k, request.scale,
          static_cast<char*>(request.product) + samples_.weights() * item_size[int(type())]);
  }
  return tree_sum(std::span(losses, leaves.count));
}

}  // namespace fallline
