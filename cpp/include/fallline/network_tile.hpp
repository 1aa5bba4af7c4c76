// The plain data of a network's batch, as it crosses into the per-ISA kernels. A layer's numbers
// for some rows are row-major; a tile is columns [first, last) of all of them.
#pragma once
#include <cstddef>

#include "fallline/samples.hpp"
#include "fallline/types.hpp"

namespace fallline {

struct LayerTile {
  DType type;
  std::size_t rows, width, first, last;
};

// From products to activations. Only a Hessian-vector product has the last three.
struct Activation : LayerTile {
  int activation;
  const void* bias;
  void* value;         // in: products; out: a = f(z) of z = product + bias
  void* slope;         // out: f′(z)
  const void* v_bias;  // the direction's
  void* tangent;       // in: R{product}; out: R{a} = f′(z) R{z}
  void* bend;          // out: f″(z) R{z}
};

// From ∂ℓ/∂a to δ = ∂ℓ/∂z, and its sum over the rows.
struct PullBack : LayerTile {
  void* delta;
  const void* slope;  // null: δ is there already, and only its sum is wanted
  void* tangent;      // in: R{∂ℓ/∂a}; out: R{δ}, whose sum is then wanted; or null
  const void* bend;
  void* sum;
  bool add;  // to what `sum` holds
};

// Outputs of some rows to the slopes of their losses, times scale and weight.
struct OutputLosses {
  const Samples* samples;
  const Request* request;  // of the gradient
  const Request* curves;   // of the Hessian-vector product, or null
  int head;
  std::size_t first;  // the first row's place in the batch
  const void* bias;
  const void* v_bias;
  void* z;        // in: products; out: δ
  void* tangent;  // in: R{product}; out: R{δ}
};

}  // namespace fallline
