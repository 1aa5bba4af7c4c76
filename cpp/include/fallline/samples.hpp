// The plain data of a linear model's batch, as it crosses into the per-ISA kernels.
#pragma once
#include <cstddef>
#include <cstdint>

#include "fallline/objective.hpp"
#include "fallline/types.hpp"

namespace fallline {

// Rows of X with their targets and weights. Dense: row-major `values`, no `indptr`. Else CSR.
struct Samples {
  const void* values = nullptr;
  const void* indptr = nullptr;
  const void* indices = nullptr;
  const void* targets = nullptr;  // `target_count` a row
  const void* weight = nullptr;   // or null
  std::size_t rows = 0;
  std::size_t features = 0;
  std::size_t target_count = 0;
  std::size_t outputs = 0;
  bool intercept = false;
  bool wide = false;        // indices are int64, not int32
  DType type = DType::f32;  // f32 or f64: of all other numbers

  bool sparse() const { return indptr != nullptr; }
  std::size_t weights() const { return outputs * features; }  // before the intercepts
  std::size_t params() const { return weights() + (intercept ? outputs : 0); }
};

struct LinearBatch {
  const Samples* samples;
  const Request* request;
  int head;
  // CSR, by row of the batch, from the first half for the second:
  void* slopes = nullptr;        // scale·w·∂ℓ/∂z, one for each output
  std::int64_t* cuts = nullptr;  // where each part's entries begin, and where the last one's end
  std::size_t parts = 0;         // of the columns
  const std::int64_t* columns = nullptr;  // where each part's columns begin, and the last one's end
};

// Rows that pass through the model together: eight float64 losses fill an AVX-512 register, and the
// gradient is then loaded and stored once for eight rows.
inline constexpr std::size_t block_rows = 8;
// Rows whose contributions are added in the compute type before they join float64 sums: the
// rounding errors of float32 then stay those of a short sum at any batch size.
inline constexpr std::size_t chunk_rows = 256;

// Doubles that a kernel works in for runs of this many rows.
inline std::size_t scratch_size(const Samples& s, std::size_t rows) {
  return (rows > chunk_rows ? s.params() : 0) + block_rows * (4 * s.outputs + s.target_count + 2);
}

}  // namespace fallline
