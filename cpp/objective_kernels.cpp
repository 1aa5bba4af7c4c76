// The objectives' kernels, compiled once per ISA as kernels.cpp is, and for the same reasons
// without std templates. The object exports one symbol.
#include "fallline/objective_table.hpp"

namespace fallline::FALLLINE_ISA {
namespace {

using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

#include "fallline/sequence.hpp"
#include "fallline/ops.hpp"
#include "fallline/codec.hpp"
#include "fallline/math.hpp"
#include "fallline/fetch.hpp"
#include "fallline/reduce.hpp"
#include "fallline/heads.hpp"
#include "fallline/lanes.hpp"
#include "fallline/rows.hpp"
#include "fallline/sparse_rows.hpp"
#include "fallline/combine.hpp"
#include "fallline/activations.hpp"
#include "fallline/network_kernels.hpp"
#include "fallline/curves.hpp"

double any_dense_rows(const LinearBatch& b, std::size_t begin, std::size_t n, void* partial,
                      double* scratch) {
  return b.samples->type == DType::f64 ? dense_rows<double>(b, begin, n, partial, scratch)
                                       : dense_rows<float>(b, begin, n, partial, scratch);
}

void any_dense_row(const LinearBatch& b, RowGradient& g) {
  b.samples->type == DType::f64 ? dense_row<double>(b, g) : dense_row<float>(b, g);
}

double dense_row_loss(int head, const RowGradient& g) {
  return g.weight * heads.at[head].loss_of_one(g.output, g.target);
}

double any_sparse_rows(const LinearBatch& b, std::size_t begin, std::size_t n, double* intercepts,
                       double* scratch) {
  return by_type(*b.samples, [&]<class T, class Index>(T, Index) {
    return sparse_rows<T, Index>(b, begin, n, intercepts, scratch);
  });
}

void any_sparse_columns(const LinearBatch& b, std::size_t part, void* product) {
  by_type(*b.samples,
          [&]<class T, class Index>(T, Index) { sparse_columns<T, Index>(b, part, product); });
}

double any_curve_points(const CurveBatch& b, std::size_t begin, std::size_t n, double* partial,
                        double* scratch) {
  const auto& kernels = b.points->type == DType::f64 ? curve_kernels<double> : curve_kernels<float>;
  return kernels.at[b.model](b, begin, n, partial, scratch);
}

constexpr ObjectiveTable table = {
    head_names.at,    head_count,         any_dense_rows, any_dense_row, dense_row_loss,
    any_sparse_rows,  any_sparse_columns, combine,        penalize,      activation_names,
    activation_count, activate,           output_losses,  pull_back,     curve_names.at,
    curve_count,      any_curve_points};

}  // namespace

const ObjectiveTable* objectives() { return &table; }

}  // namespace fallline::FALLLINE_ISA
