// The parameters and states of one optimizer, bound once; gradients are bound at every step.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <tuple>
#include <vector>

#include "fallline/step.hpp"

namespace fallline::python {

namespace py = pybind11;

class Tensors {
 public:
  // (index, row, offset): whose random numbers a tensor has, see fallline::Tensor.
  using Streams = std::vector<std::tuple<std::uint32_t, std::uint32_t, std::uint64_t>>;

  // The arrays were checked in Python; what is wrong here is a programming error.
  // `masters` and `streams` are empty or have an entry for each parameter.
  Tensors(const py::list& params, const py::list& slots, const std::vector<std::uint32_t>& cohorts,
          const py::list& masters, const Streams& streams);

  // Takes the addresses of the gradients. True when every one is plainly fine: a C-contiguous,
  // aligned array of a known type, of its parameter's shape, apart from all parameters and states.
  // Where whole cohorts have None, a list that says which take part. False otherwise: what is wrong
  // is for Python to say, which has one place for such messages.
  py::object accept(const py::list& grads);
  // Takes the addresses of gradients that Python has found good; None sits this step out.
  void bind(const py::list& grads);

  std::pair<double, py::ssize_t> sum_squares(double scale, int threads);

  // One step. `work` has (kernel, factor, coefficients) per cohort, and (seed, step) behind them
  // where it rounds stochastically; None where it sits out. On success `progress[0] = pending`
  // here, where no signal handler can come in between.
  py::ssize_t update(const py::tuple& work, bool watch, int threads, py::list progress,
                     const py::object& pending, const py::object& sums);

 protected:
  Tensors() = default;

  // Adds memory that a step writes; finish() once all is there.
  char* written(const void* begin, std::size_t bytes);
  void finish(std::size_t cohorts);
  bool overlaps(const char* begin, std::size_t bytes) const;

  // accept() by its parts: begin; take_part for each tensor, false where its cohort is torn; then
  // which cohorts take part.
  void begin();
  bool take_part(std::size_t i, bool present);
  py::object taking_part();

  // What a step works on: where a gradient has some rows of its parameter only, each is a tensor.
  std::span<const Tensor> parts() const { return by_rows_ ? rows_ : tensors_; }
  py::ssize_t whole(std::size_t part) const;

  std::vector<Tensor> tensors_;
  bool by_rows_ = false;
  std::vector<Tensor> rows_;
  std::vector<std::size_t> row_owners_;  // by row: the tensor

 private:
  struct Range {
    const char* begin;
    const char* end;
  };
  bool acceptable(py::handle grad, std::size_t i);
  void set_grad(py::handle grad, std::size_t i);
  int rule_of(py::handle kernel, std::size_t cohort);
  void load(const py::tuple& work);

  std::vector<py::array> params_;
  std::vector<py::array> slots_;  // kept alive
  std::vector<Range> written_;    // memory a step writes, sorted
  std::vector<Cohort> cohorts_;
  std::vector<py::object> kernels_;  // whose index is in the cohort
  std::vector<double> partials_;
  Layout layout_;
  bool stale_ = true;                     // the layout is not that of the gradients bound
  std::vector<signed char> taking_part_;  // by cohort: 1, 0, or not seen yet
};

}  // namespace fallline::python
