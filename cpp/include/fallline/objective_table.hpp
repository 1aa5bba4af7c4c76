// The function pointers to objectives' kernels that one ISA offers.
#pragma once
#include "fallline/network_tile.hpp"
#include "fallline/points.hpp"
#include "fallline/samples.hpp"

namespace fallline {

struct ObjectiveTable {
  const char* const* heads;  // names of the linear models' losses
  int head_count;

  // Rows [begin, begin + n) of a batch through a linear model: returns Σ w·ℓ; `partial`, of the
  // compute type, becomes the unscaled product where one is wanted.
  double (*dense_rows)(const LinearBatch& batch, std::size_t begin, std::size_t n, void* partial,
                       double* scratch);
  // A batch of one row through a model of one output: its gradient, and from it its w·ℓ.
  void (*dense_row)(const LinearBatch& batch, RowGradient& gradient);
  double (*dense_row_loss)(int head, const RowGradient& gradient);
  // CSR, first half: Σ w·ℓ, the sum of the rows' slopes by output, and what the second half needs.
  double (*sparse_rows)(const LinearBatch& batch, std::size_t begin, std::size_t n,
                        double* intercepts, double* scratch);
  // CSR, second half: the product in one part of the columns.
  void (*sparse_columns)(const LinearBatch& batch, std::size_t part, void* product);

  // Columns [begin, end) of `product` become scale · Σ over `count` partial products, in a fixed
  // tree.
  void (*combine)(DType partial, DType type, const void* partials, std::size_t count,
                  std::size_t stride, std::size_t begin, std::size_t end, double scale,
                  void* product);
  // Adds penalty·v to elements [begin, end) of `product`, unless null; returns Σ φ² over them.
  double (*penalize)(DType type, std::size_t begin, std::size_t end, double penalty,
                     const void* phi, const void* v, void* product);

  // Of fully connected networks.
  const char* const* activations;  // names
  int activation_count;
  void (*activate)(const Activation& tile);
  // Σ w·ℓ of rows [begin, end) of a chunk, and their slopes.
  double (*output_losses)(const OutputLosses& chunk, std::size_t begin, std::size_t end,
                          double* scratch);
  void (*pull_back)(const PullBack& tile);
  const char* const* curves;  // names of the curves' models
  int curve_count;
  // Points [begin, begin + n) of a batch on a curve: returns Σ w·ℓ; `partial` becomes the unscaled
  // product where one is wanted.
  double (*curve_points)(const CurveBatch& batch, std::size_t begin, std::size_t n, double* partial,
                         double* scratch);
};

}  // namespace fallline
