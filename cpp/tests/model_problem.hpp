// A fixed piece of work for any linear model's loss: samples from an integer hash.
#pragma once
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "fallline/linear_model.hpp"
#include "fallline/train.hpp"
#include "problem.hpp"

namespace fallline::test {

class ModelProblem {
 public:
  // Dense where `density` is 1; else CSR that keeps about so many of the entries.
  ModelProblem(int head, DType type, std::size_t rows, std::size_t features, std::size_t outputs,
               double density, bool wide, double l2 = 0.1)
      : rows_(rows), density_(density) {
    const auto buffer = [&](std::size_t n) { return finite(type, n); };
    Samples s;
    s.rows = rows;
    s.features = features;
    s.outputs = outputs;
    s.target_count = 1;
    s.intercept = true;
    s.wide = wide;
    s.type = type;
    std::size_t entries = rows * features;
    if (density < 1.0) entries = keep_some(features);
    values_ = buffer(entries);
    weight_ = buffer(rows);
    phi_ = buffer(s.params());
    direction_ = buffer(s.params());
    product_ = buffer(s.params());
    targets_ = buffer(rows);
    for (std::size_t i = 0; i < rows; ++i)
      write(type, double(hash(i) % outputs), targets_.data() + i * item_size[int(type)]);
    for (std::size_t i = 0; i < rows; ++i)
      write(type, std::abs(weight_[i]), weight_.data() + i * item_size[int(type)]);
    s.values = values_.data();
    s.targets = targets_.data();
    s.weight = weight_.data();
    if (density < 1.0) {
      s.indptr = wide ? static_cast<const void*>(indptr64_.data()) : indptr32_.data();
      s.indices = wide ? static_cast<const void*>(columns64_.data()) : columns32_.data();
    }
    model_ = std::make_unique<LinearModel>(
        s, head, Objective::Terms{true, l2, {{std::size_t{0}, s.weights()}}});
  }

  // Of losses, gradients and Hessian-vector products: all samples, and a shuffled batch.
  std::uint64_t checksum(int threads) {
    Checksum sum;
    std::vector<std::int64_t> batch;
    for (std::size_t i = 0; i < rows_ / 2 + 1; ++i) batch.push_back(std::int64_t(hash(i) % rows_));
    for (const bool shuffled : {false, true})
      for (const bool curved : {false, true}) {
        Request request;
        request.phi = phi_.data();
        request.direction = curved ? direction_.data() : nullptr;
        request.batch = shuffled ? batch.data() : nullptr;
        request.size = shuffled ? batch.size() : rows_;
        request.product = product_.data();
        sum.add(model_->evaluate(request, threads, workspace_));
        sum.add(product_);
      }
    return sum.value();
  }

  // Of the parameters, losses and norms of steps of a rule, a sample each.
  std::uint64_t steps_checksum(int rule) {
    Tensor tensor{};
    tensor.param = phi_.data();
    tensor.size = model_->params();
    tensor.param_type = tensor.grad_type = model_->type();
    Trainer trainer(*model_, rule, tensor, product_.data(), direction_.data());
    std::vector<std::int64_t> order, offsets;
    for (std::size_t i = 0; i < rows_; ++i) order.push_back(std::int64_t(hash(i) % rows_));
    for (std::size_t i = 0; i <= rows_; ++i) offsets.push_back(std::int64_t(i));
    const std::vector<double> coefficients(max_coefficients * rows_, 0.01);
    std::vector<double> losses(rows_), norms(rows_);
    const double never = std::numeric_limits<double>::quiet_NaN(), infinity = HUGE_VAL;
    trainer.run({rows_, order.data(), offsets.data(), coefficients.data(), max_coefficients,
                 infinity, losses.data(), norms.data()},
                {infinity, never, never, never}, 1);
    Checksum sum;
    sum.add(phi_);
    sum.add(direction_);
    for (std::size_t i = 0; i < rows_; ++i) {
      sum.add(losses[i]);
      sum.add(norms[i]);
    }
    return sum.value();
  }

 private:
  Buffer finite(DType type, std::size_t n) {
    Buffer x(type, n, 0, ++seed_);
    for (std::size_t i = 0; i < n; ++i)
      write(type, 0.25 * draw(type, hash(seed_) + i), x.data() + i * item_size[int(type)]);
    return x;
  }

  std::size_t keep_some(std::size_t features) {
    indptr64_.push_back(0);
    for (std::size_t i = 0; i < rows_; ++i) {
      for (std::size_t j = 0; j < features; ++j)
        if (double(hash(i * features + j) >> 11) < std::ldexp(density_, 53))
          columns64_.push_back(std::int64_t(j));
      indptr64_.push_back(std::int64_t(columns64_.size()));
    }
    columns32_.assign(columns64_.begin(), columns64_.end());
    indptr32_.assign(indptr64_.begin(), indptr64_.end());
    return columns64_.size();
  }

  std::size_t rows_;
  double density_;
  std::uint64_t seed_ = 0;
  std::vector<std::int64_t> indptr64_, columns64_;
  std::vector<std::int32_t> indptr32_, columns32_;
  Buffer values_{DType::f32, 0, 0, 0}, targets_ = values_, weight_ = values_, phi_ = values_,
                                       direction_ = values_, product_ = values_;
  std::unique_ptr<LinearModel> model_;
  Workspace workspace_;
};

}  // namespace fallline::test
