// The plain data of a curve's batch, as it crosses into the per-ISA kernels.
#pragma once
#include <cstddef>

#include "fallline/objective.hpp"
#include "fallline/samples.hpp"
#include "fallline/types.hpp"

namespace fallline {

// Inputs, targets and weights of a curve with so many parameters.
struct Points {
  const void* inputs = nullptr;
  const void* targets = nullptr;
  const void* weight = nullptr;  // or null
  std::size_t count = 0;
  std::size_t params = 0;
  DType type = DType::f32;  // f32 or f64: of all numbers
};

struct CurveBatch {
  const Points* points;
  const Request* request;
  int model;
};

// Doubles that a kernel works in: φ and v; sums by lane; ∂f and (∂²f)v of two blocks.
inline std::size_t curve_scratch(std::size_t params) { return params * (2 + 5 * block_rows); }

}  // namespace fallline
