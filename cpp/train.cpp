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

// As python/fallline/loop/engine.py has it, which takes the same steps one by one.
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

template <class Evaluate, class Take>
Trained Trainer::walk(const Steps& steps, Watch watch, const Evaluate& evaluate, const Take& take) {
  Request request;
  request.size = objective_.samples();
  for (std::size_t i = 0; i < steps.count; ++i) {
    if (steps.order) {
      request.batch = steps.order + steps.offsets[i];
      request.size = std::size_t(steps.offsets[i + 1] - steps.offsets[i]);
      request.ahead = std::size_t(steps.offsets[steps.count] - steps.offsets[i + 1]);
    }
    const auto [loss, norm] = evaluate(request, i);
    if (const Halted halted = look(loss, norm, watch); halted != Halted::no)
      return {i, halted, loss, norm};
    watch.previous = steps.losses[i] = loss;
    steps.norms[i] = norm;
    take(i, norm);
  }
  return {steps.count, Halted::no, 0.0, 0.0};
}

Trained Trainer::run(const Steps& steps, Watch watch, int threads) {
  const DefaultFloatEnvironment environment;
  const KernelTable& kernels = active_kernels();
  if (is_along_rows(kernels, steps)) return run_along_rows(kernels, steps, watch);
  const std::size_t bytes = tensor_.size * item_size[int(tensor_.param_type)];
  return walk(
      steps, watch,
      [&](Request& request, std::size_t) {
        request.phi = tensor_.param;
        request.product = gradient_;
        const double loss = objective_.evaluate(request, threads, workspace_);
        return Point{loss, gradient_norm(kernels, threads)};
      },
      [&](std::size_t i, double norm) {
        copy(last_, tensor_.param, bytes, threads);
        load(steps, i, norm);
        step(kernels, threads);
      });
}

// Whether every step goes along one sample's row and depends on nothing else.
bool Trainer::is_along_rows(const KernelTable& kernels, const Steps& steps) const {
  const RuleInfo& rule = kernels.rules[cohort_.rule];
  return objective_.is_along_rows() && tensor_.size <= tile_size && steps.order &&
         std::size_t(steps.offsets[steps.count] - steps.offsets[0]) == steps.count &&
         std::isinf(steps.max_norm) && rule.slots + rule.sums == 0;
}

// Before a step is taken its norm is looked at, which is known when the parameters after it are: so
// these go to an array of their own, and the three arrays change places. The loss comes last: no
// parameter waits for it, and a core works on it beside the next step's output.
Trained Trainer::run_along_rows(const KernelTable& kernels, const Steps& steps,
                                const Watch& watch) {
  const std::size_t bytes = tensor_.size * item_size[int(tensor_.param_type)];
  const std::size_t stride = (bytes + cache_line - 1) / cache_line * cache_line;
  std::vector<char> memory(3 * stride + cache_line);
  char* before = memory.data() + -reinterpret_cast<std::uintptr_t>(memory.data()) % cache_line;
  char *now = before + stride, *after = now + stride;
  std::memcpy(before, last_, bytes);
  std::memcpy(now, tensor_.param, bytes);
  RowGradient gradient;
  const Trained trained = walk(
      steps, watch,
      [&](Request& request, std::size_t i) {
        request.phi = now;
        // Long before they are read: numbers stored one by one and then loaded together are loaded
        // only once all before them is done. (AVX2, 512 features in cache: 227 ns a step, else
        // 360.)
        load(steps, i, 0.0);
        objective_.along_row(request, gradient);
        const double square = kernels.step_along(cohort_, gradient, now, after);
        return Point{objective_.loss_along_row(gradient), std::sqrt(square)};
      },
      [&](std::size_t, double) {
        std::swap(before, now);
        std::swap(now, after);
      });
  std::memcpy(last_, before, bytes);
  std::memcpy(tensor_.param, now, bytes);
  return trained;
}

}  // namespace fallline
