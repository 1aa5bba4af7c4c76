// The plain data that crosses from the dispatcher into the per-ISA kernels.
#pragma once
#include <cstddef>
#include <cstdint>

namespace fallline {

enum class DType : std::uint8_t { f64, f32, bf16, f16 };
inline constexpr int dtype_count = 4;
constexpr std::size_t item_size[dtype_count] = {8, 4, 2, 2};

// Float64 parameters are updated in float64, all others in float32.
inline constexpr bool computes_in_f64(DType parameter) { return parameter == DType::f64; }

// Elements a tile holds. Eight float32 streams of 1,024 elements are 32 KiB and fit a 48 KiB (or,
// at six streams, a 32 KiB) L1. Canonical sums are formed per tile, so this number is part of the
// definition of a norm's bits: change it in python/fallline/backends/_tiles.py too.
inline constexpr std::size_t tile_size = 1024;

inline constexpr std::size_t cache_line = 64;

inline constexpr int max_slots = 6;
inline constexpr int max_sums = 2;
inline constexpr int max_coefficients = 24;

// One tensor in one step. Pointers are to the first element; `grad` is null where the tensor sits
// this step out.
struct Tensor {
  void* param;
  const void* grad;
  void* slots[max_slots];
  void* master;  // of a 16-bit parameter, or null: what is updated, in the compute type; the
                 // parameter gets it rounded
  std::size_t size;
  DType param_type;
  DType grad_type;
  std::uint32_t cohort;
  std::uint32_t index;   // with `row`, which random numbers are its own (rounding.hpp)
  std::uint32_t row;     // where the tensor is one row of a parameter
  std::uint64_t offset;  // where the tensor is a shard: its first element's place in the whole
};

// Rows to come that are fetched side by side while steps go along rows, a part of each at a step:
// memory serves several streams better than one, and a stream best where its lines follow one
// another. (A step along one of 200,000 rows of 2 KiB, on a Xeon: 285 ns, 4 and 16 rows the same,
// 410 with one whole row a step, 340 with each row's parts spread over the step.)
inline constexpr std::size_t rows_in_flight = 8;

// The gradient of one sample that is a multiple of its row: slope · (row, 1 if `intercept`).
struct RowGradient {
  DType type;  // of the row, the slope and the parameters: f32 or f64
  const void* row;
  const void* ahead[rows_in_flight];  // the last to be needed first
  std::size_t features;
  bool intercept;
  double slope;
  double output, target, weight;  // what the sample's loss follows from
};

// What all tensors with the same hyperparameters and the same step count share in one step.
struct Cohort {
  int rule;
  double factor;  // multiplies the gradient: unscaling × clipping × (−1 to maximize)
  double f64[max_coefficients];
  float f32[max_coefficients];
  bool stochastic;  // rounding of 16-bit parameters: by random bits, or to nearest
  std::uint64_t seed;
  std::uint32_t step;
};

// One thread's staging area: where an array is not of the compute type, its tile passes through
// here. Doubles, so that either compute type fits.
struct alignas(64) Scratch {
  double grad[tile_size];
  double param[tile_size];
  double sums[max_sums][tile_size];
  std::uint16_t random[2 * tile_size];  // a shard's tile may lie across two of the whole's
};

}  // namespace fallline
