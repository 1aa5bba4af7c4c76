#include "tensors.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>
#include <tuple>

#include "fallline/dispatch.hpp"

namespace fallline::python {
namespace {

constexpr signed char unknown = -1;

// Elements whose update takes microseconds: other Python threads lose less in them than handing
// over the interpreter's lock costs.
constexpr std::size_t too_short_to_share = 16 * 1024;

constexpr int aligned_c_array =
    py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;

// ml_dtypes registers bfloat16 with NumPy at run time, under a number of its own.
bool is_bfloat16(const py::dtype& dtype) {
  static int number = -1;
  if (number < 0 && py::str(dtype).cast<std::string>() == "bfloat16") number = dtype.num();
  return number >= 0 && dtype.num() == number;
}

bool find_dtype(const py::array& array, DType& found) {
  const py::dtype dtype = array.dtype();
  using api = py::detail::npy_api;
  constexpr int float16 = 23;
  switch (dtype.num()) {
    case api::NPY_FLOAT_:
      found = DType::f32;
      break;
    case api::NPY_DOUBLE_:
      found = DType::f64;
      break;
    case float16:
      found = DType::f16;
      break;
    default:
      if (!is_bfloat16(dtype)) return false;
      found = DType::bf16;
  }
  return dtype.byteorder() == '=' || dtype.byteorder() == '|';
}

bool same_shape(const py::array& a, const py::array& b) {
  return a.ndim() == b.ndim() && std::equal(a.shape(), a.shape() + a.ndim(), b.shape());
}

}  // namespace

Tensors::Tensors(const py::list& params, const py::list& slots,
                 const std::vector<std::uint32_t>& cohorts, const py::list& masters,
                 const Streams& streams) {
  for (std::size_t i = 0; i < params.size(); ++i) {
    params_.push_back(py::reinterpret_borrow<py::array>(params[i]));
    const py::array& param = params_.back();
    Tensor t{};
    t.param = written(param.data(), std::size_t(param.nbytes()));
    t.size = std::size_t(param.size());
    t.cohort = cohorts.at(i);
    if (!find_dtype(param, t.param_type)) throw std::logic_error("unchecked parameter");
    const auto own = py::reinterpret_borrow<py::tuple>(slots[i]);
    if (own.size() > std::size_t(max_slots)) throw std::logic_error("too many slots");
    for (std::size_t s = 0; s < own.size(); ++s) {
      slots_.push_back(py::reinterpret_borrow<py::array>(own[s]));
      t.slots[s] = written(slots_.back().data(), std::size_t(slots_.back().nbytes()));
    }
    if (!masters.empty() && !masters[i].is_none()) {
      slots_.push_back(py::reinterpret_borrow<py::array>(masters[i]));
      t.master = written(slots_.back().data(), std::size_t(slots_.back().nbytes()));
    }
    t.index = std::uint32_t(i);
    if (!streams.empty()) std::tie(t.index, t.row, t.offset) = streams.at(i);
    tensors_.push_back(t);
  }
  finish(cohorts.empty() ? 0 : *std::max_element(cohorts.begin(), cohorts.end()) + 1);
}

char* Tensors::written(const void* begin, std::size_t bytes) {
  const char* first = static_cast<const char*>(begin);
  if (bytes > 0) written_.push_back({first, first + bytes});
  return const_cast<char*>(first);
}

void Tensors::finish(std::size_t cohorts) {
  std::sort(written_.begin(), written_.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  cohorts_.resize(cohorts);
  kernels_.resize(cohorts);
  taking_part_.resize(cohorts);
}

bool Tensors::overlaps(const char* begin, std::size_t bytes) const {
  if (bytes == 0) return false;
  const auto after =
      std::lower_bound(written_.begin(), written_.end(), begin + bytes,
                       [](const Range& r, const char* end) { return r.begin < end; });
  // Written ranges do not overlap one another, so the last that begins before our end decides.
  return after != written_.begin() && std::prev(after)->end > begin;
}

bool Tensors::acceptable(py::handle grad, std::size_t i) {
  if (!py::isinstance<py::array>(grad)) return false;
  const auto array = py::reinterpret_borrow<py::array>(grad);
  DType type;
  if ((array.flags() & aligned_c_array) != aligned_c_array) return false;
  if (!find_dtype(array, type) || !same_shape(array, params_[i])) return false;
  if (!params_[i].writeable()) return false;
  const auto* data = static_cast<const char*>(array.data());
  return !overlaps(data, tensors_[i].size * item_size[int(type)]);
}

void Tensors::set_grad(py::handle grad, std::size_t i) {
  Tensor& tensor = tensors_[i];
  tensor.grad = nullptr;
  if (grad.is_none()) return;
  const auto array = py::reinterpret_borrow<py::array>(grad);
  tensor.grad = array.data();
  find_dtype(array, tensor.grad_type);
}

void Tensors::begin() { std::fill(taking_part_.begin(), taking_part_.end(), unknown); }

bool Tensors::take_part(std::size_t i, bool present) {
  signed char& cohort = taking_part_[tensors_[i].cohort];
  if (cohort == unknown) cohort = present;
  if (cohort != present) return false;
  stale_ |= present != (tensors_[i].grad != nullptr);
  return true;
}

py::object Tensors::taking_part() {
  if (stale_ || by_rows_) layout_.rebuild(parts());
  stale_ = by_rows_;
  if (std::all_of(taking_part_.begin(), taking_part_.end(), [](auto c) { return c == 1; }))
    return py::bool_(true);
  py::list active;
  for (const signed char cohort : taking_part_) active.append(cohort == 1);
  return active;
}

py::ssize_t Tensors::whole(std::size_t part) const {
  if (part == no_tensor) return -1;
  return static_cast<py::ssize_t>(by_rows_ ? row_owners_[part] : part);
}

py::object Tensors::accept(const py::list& grads) {
  if (grads.size() != tensors_.size()) return py::bool_(false);
  begin();
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const py::handle grad = PyList_GET_ITEM(grads.ptr(), py::ssize_t(i));
    const bool present = !grad.is_none();
    if (!take_part(i, present) || (present && !acceptable(grad, i))) return py::bool_(false);
    set_grad(grad, i);
  }
  return taking_part();
}

void Tensors::bind(const py::list& grads) {
  for (std::size_t i = 0; i < tensors_.size(); ++i) set_grad(grads[i], i);
  layout_.rebuild(tensors_);
  stale_ = false;
}

std::pair<double, py::ssize_t> Tensors::sum_squares(double scale, int threads) {
  const py::gil_scoped_release release;
  const SumSquares sum =
      fallline::sum_squares(active_kernels(), parts(), scale, layout_, threads, partials_);
  return {sum.total, whole(sum.first_nonfinite)};
}

int Tensors::rule_of(py::handle kernel, std::size_t c) {
  if (!kernels_[c].is(kernel)) {
    const auto name = kernel.attr("name").cast<std::string>();
    const KernelTable& table = active_kernels();
    const RuleInfo* end = table.rules + table.rule_count;
    const RuleInfo* found =
        std::find_if(table.rules, end, [&](const RuleInfo& rule) { return name == rule.name; });
    if (found == end) throw std::logic_error("the core has no rule " + name);
    kernels_[c] = py::reinterpret_borrow<py::object>(kernel);
    cohorts_[c].rule = static_cast<int>(found - table.rules);
  }
  return cohorts_[c].rule;
}

void Tensors::load(const py::tuple& work) {
  for (std::size_t c = 0; c < cohorts_.size(); ++c) {
    const py::handle item = PyTuple_GET_ITEM(work.ptr(), py::ssize_t(c));
    if (item.is_none()) continue;
    PyObject* coefficients = PyTuple_GET_ITEM(item.ptr(), 2);
    const py::ssize_t count = PyTuple_GET_SIZE(coefficients);
    if (count > max_coefficients) throw std::logic_error("too many coefficients");
    Cohort& cohort = cohorts_[c];
    cohort.rule = rule_of(PyTuple_GET_ITEM(item.ptr(), 0), c);
    cohort.factor = PyFloat_AsDouble(PyTuple_GET_ITEM(item.ptr(), 1));
    for (py::ssize_t i = 0; i < count; ++i) {
      cohort.f64[i] = PyFloat_AsDouble(PyTuple_GET_ITEM(coefficients, i));
      cohort.f32[i] = static_cast<float>(cohort.f64[i]);
    }
    cohort.stochastic = PyTuple_GET_SIZE(item.ptr()) > 3;
    if (cohort.stochastic) {
      PyObject* counter = PyTuple_GET_ITEM(item.ptr(), 3);
      cohort.seed = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(counter, 0));
      cohort.step =
          static_cast<std::uint32_t>(PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(counter, 1)));
    }
    if (PyErr_Occurred() != nullptr) throw py::error_already_set();
  }
}

py::ssize_t Tensors::update(const py::tuple& work, bool watch, int threads, py::list progress,
                            const py::object& pending, const py::object& sums) {
  load(work);
  std::vector<double> totals(sums.is_none() ? 0 : cohorts_.size() * max_sums);
  std::size_t first_nonfinite = no_tensor;
  const auto run = [&] {
    first_nonfinite =
        fallline::update(active_kernels(), parts(), cohorts_, layout_, threads, partials_, totals);
  };
  if (layout_.work() < too_short_to_share) {
    run();
  } else {
    const py::gil_scoped_release release;
    run();
  }
  progress[0] = pending;
  if (!sums.is_none()) {
    const auto out = py::reinterpret_borrow<py::list>(sums);
    for (std::size_t i = 0; i < totals.size(); ++i) out[i] = totals[i];
  }
  return watch ? whole(first_nonfinite) : -1;
}

}  // namespace fallline::python
