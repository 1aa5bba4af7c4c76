// Many minibatch steps in a row: evaluate, look, step.
#pragma once
#include "fallline/objective.hpp"
#include "fallline/step.hpp"

namespace fallline {

// Where to halt before a step: at a loss or gradient there. NaN never halts.
struct Watch {
  double ceiling;   // a loss above it has diverged
  double gtol;      // the gradient's norm is at most this
  double ftol;      // the loss has changed by at most this share since the step before
  double previous;  // the loss of the step before
};

// Batches and coefficients of consecutive steps, and what is recorded of them.
struct Steps {
  std::size_t count;
  const std::int64_t* order;    // null: all samples at every step
  const std::int64_t* offsets;  // batch i is order[offsets[i]] … order[offsets[i + 1] − 1]
  const double* coefficients;   // a row a step, in the rule's order
  std::size_t coefficient_count;
  double max_norm;  // infinity: no clipping
  double* losses;
  double* norms;
};

enum class Halted { no, diverged, gradient, loss_change };

struct Trained {
  std::size_t steps;
  Halted halted;
  double loss, norm;  // where it halted
};

// One parameter under one rule on one objective. `tensor.grad` is filled with every step's
// gradient, `last` with the parameters before the last step.
class Trainer {
 public:
  Trainer(const Objective& objective, int rule, const Tensor& tensor, void* gradient, void* last)
      : objective_(objective), tensor_(tensor), gradient_(gradient), last_(last) {
    cohort_.rule = rule;
    tensor_.grad = gradient;
    tensor_.cohort = 0;
    layout_.rebuild({&tensor_, 1});
  }

  Trained run(const Steps& steps, Watch watch, int threads);

 private:
  struct Point {
    double loss, norm;
  };
  // Halts and records: `evaluate(request, i)` returns a Point, `take(i, norm)` takes step i.
  template <class Evaluate, class Take>
  Trained walk(const Steps& steps, Watch watch, const Evaluate& evaluate, const Take& take);
  bool is_along_rows(const KernelTable& kernels, const Steps& steps) const;
  Trained run_along_rows(const KernelTable& kernels, const Steps& steps, const Watch& watch);

  void load(const Steps& steps, std::size_t i, double norm);
  double gradient_norm(const KernelTable& kernels, int threads);
  void step(const KernelTable& kernels, int threads);

  const Objective& objective_;
  Tensor tensor_;
  void* gradient_;
  void* last_;
  Cohort cohort_{};
  Layout layout_;
  Workspace workspace_;
  std::vector<double> partials_;
  Scratch scratch_;
};

}  // namespace fallline
