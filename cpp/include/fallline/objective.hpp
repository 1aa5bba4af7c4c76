// What a loss is to the core: sums over batches of samples, and the loss made of them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "fallline/types.hpp"

namespace fallline {

// A batch at one point. Arrays are of the objective's type.
struct Request {
  const void* phi = nullptr;
  const void* direction = nullptr;      // v: the Hessian-vector product is wanted, not the gradient
  const std::int64_t* batch = nullptr;  // null: samples 0 … size − 1
  std::size_t size = 0;
  std::size_t ahead = 0;    // indices behind the batch's: samples of batches to come, to be fetched
  double scale = 1.0;       // multiplies the product
  void* product = nullptr;  // where the gradient or Hv goes; null: only the loss is wanted

  std::size_t sample(std::size_t i) const { return batch ? std::size_t(batch[i]) : i; }
};

// Memory that an evaluation works in, kept by the caller between calls and by no two threads.
using Workspace = std::vector<double>;

class Objective {
 public:
  using Range = std::pair<std::size_t, std::size_t>;
  struct Terms {
    bool mean = true;              // or the sum over a batch's samples
    double l2 = 0.0;               // adds l2/2 ‖φ‖² …
    std::vector<Range> penalized;  // … over these parameters
  };

  Objective(DType type, std::size_t samples, std::size_t params, Terms terms)
      : type_(type), samples_(samples), params_(params), terms_(std::move(terms)) {}
  virtual ~Objective() = default;
  Objective(const Objective&) = delete;
  Objective& operator=(const Objective&) = delete;

  DType type() const { return type_; }
  std::size_t samples() const { return samples_; }
  std::size_t params() const { return params_; }

  // Loss over the batch, and its gradient or Hessian-vector product: s·Σ and penalty.
  double evaluate(Request request, int threads, Workspace& workspace) const;

  // Whether a sample's loss depends on one combination of the parameters, along a row in memory,
  // and nothing is added to it.
  virtual bool is_along_rows() const { return false; }
  // Where so: the gradient of a batch of one sample as a multiple of that row, and its loss.
  virtual void along_row(const Request&, RowGradient&) const {}
  virtual double loss_along_row(const RowGradient&) const { return 0.0; }

  // What an evaluation costs, in elements of an update.
  virtual std::size_t work(std::size_t size) const = 0;

 protected:
  // Σ w·ℓ over the batch; the product becomes scale · Σ w·∂ℓ or, with a direction,
  // scale · Σ w·(∂²ℓ)v. The same bits at any number of threads.
  virtual double accumulate(const Request& request, int threads, Workspace& workspace) const = 0;

  const Terms& terms() const { return terms_; }

 private:
  DType type_;
  std::size_t samples_;
  std::size_t params_;
  Terms terms_;
};

}  // namespace fallline
