#include "fallline/train.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "fallline/dispatch.hpp"
#include "fallline/float_environment.hpp"
#include "fallline/parallel.hpp"

namespace fallline {
namespace {

// As python/fallline/fit/engine.py has it, which takes the same steps one by one.
Halted look(double loss, double norm, const Watch& watch) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (!(-infinity < loss && loss <= watch.ceiling && norm < infinity)) return Halted::diverged;
  if (norm <= watch.gtol) return Halted::gradient;
  const double change = std::abs(watch.previous - loss);
  if (change <= watch.ftol * std::max(std::abs(watch.previous), std::abs(loss)))
    return Halted::loss_change;
  return Halted::no;
}

void copy(void* to, const void* from, std::size_t bytes, int threads) {
  run(bytes / sizeof(double), threads, [&](std::size_t k, std::size_t of) {
    const std::size_t begin = bytes * k / of, end = bytes * (k + 1) / of;
    std::memcpy(static_cast<char*>(to) + begin, static_cast<const char*>(from) + begin,
                end - begin);
  });
}

}  // namespace

void Trainer::load(const Steps& steps, std::size_t i, double norm) {
  const double* row = steps.coefficients + i * steps.coefficient_count;
  for (std::size_t c = 0; c < steps.coefficient_count; ++c) {
    cohort_.f64[c] = row[c];
    cohort_.f32[c] = float(row[c]);
  }
  // torch.nn.utils.clip_grad_norm_
  cohort_.factor = std::min(1.0, steps.max_norm / (norm + 1e-6));
}

// Of one tile, straight to the kernels: sharing out what one thread does takes as long as the
// kernel.

double Trainer::gradient_norm(const KernelTable& kernels, int threads) {
  bool finite = true;
  return std::sqrt(
      tensor_.size <= tile_size
          ? kernels.sum_squares(tensor_, 1.0, 0, tensor_.size, scratch_, &finite)
          : sum_squares(kernels, {&tensor_, 1}, 1.0, layout_, threads, partials_).total);
}

void Trainer::step(const KernelTable& kernels, int threads) {
  if (tensor_.size <= tile_size)
    kernels.update(tensor_, cohort_, 0, tensor_.size, scratch_, nullptr, 0);
  else
    update(kernels, {&tensor_, 1}, {&cohort_, 1}, layout_, threads, partials_, {});
}

Trained Trainer::run(const Steps& steps, Watch watch, int threads) {
  const DefaultFloatEnvironment environment;
  const KernelTable& kernels = active_kernels();
  const std::size_t bytes = tensor_.size * item_size[int(tensor_.param_type)];
  Request request;
  request.phi = tensor_.param;
  request.product = gradient_;
  request.size = objective_.samples();
  for (std::size_t i = 0; i < steps.count; ++i) {
    if (steps.order) {
      request.batch = steps.order + steps.offsets[i];
      request.size = std::size_t(steps.offsets[i + 1] - steps.offsets[i]);
      request.ahead = std::size_t(steps.offsets[steps.count] - steps.offsets[i + 1]);
    }
    const double loss = objective_.evaluate(request, threads, workspace_);
    const double norm = gradient_norm(kernels, threads);
    if (const Halted halted = look(loss, norm, watch); halted != Halted::no)
      return {i, halted, loss, norm};
    watch.previous = steps.losses[i] = loss;
    steps.norms[i] = norm;
    copy(last_, tensor_.param, bytes, threads);
    load(steps, i, norm);
    step(kernels, threads);
  }
  return {steps.count, Halted::no, 0.0, 0.0};
}

}  // namespace fallline
