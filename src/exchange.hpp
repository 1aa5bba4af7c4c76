// Tensors of a framework that tells where they lie.
#pragma once
#include "inspector.hpp"
#include "tensors.hpp"

namespace fallline::python {

// The framework owns parameters, gradients and states, and its users may replace any of them
// between two steps. So what was bound is compared with what is there at every step: list by list,
// entry by entry, address by address, which costs some 0.17 µs a parameter
// (0.37 with the interpreter's lock held and DLPack asked).
class ExchangedTensors : public Tensors {
 public:
  // `types` and `shim` as Inspector takes them. Every parameter of `lists`, in order, has an entry
  // (home, master, slots, numbers, state, cohort, by_rows, offset), or None where it has no state:
  // then it must have no gradient either.
  //   home     the tensor that is updated: the parameter, its local part, a copy
  //   master   what is updated in place of `home`, which gets it rounded; or None
  //   numbers  tensors of one element that hold what the rule counts, in the order of `numbers`
  //            in update()
  //   state    the dict that holds slots and numbers, or None
  //   offset   of a shard: its first element's place in the whole
  // `local(param)` is the tensor that a parameter, or gradient, of another type has here, or None.
  // `conform(i, grad)` makes a gradient that is not plainly fine so, or raises; (indices, values)
  // have a gradient of some rows; None says that it is to be bound anew.
  ExchangedTensors(const py::tuple& types, const py::list& lists, const py::list& entries,
                   py::object local, py::object conform, const py::object& shim);

  // What is to be found in `state` at every step: the tensors that are in it now.
  void remember_state(const py::dict& state);

  // As Tensors::accept, with the gradients looked up; False too where anything but gradients is not
  // what was bound.
  py::object accept(const py::list& lists, const py::dict& state, int threads);

  // As Tensors::update; `numbers` has a tuple per cohort that takes part.
  py::ssize_t update(const py::tuple& work, bool watch, int threads, py::list progress,
                     const py::object& pending, const py::object& sums, const py::tuple& numbers);
  void release();

 private:
  struct Place {  // where a tensor lay when it was bound
    py::object object;
    const void* data;
  };
  struct Number {
    Place place;
    DType type;
    double value;
  };
  struct Entry {
    py::object param;
    py::object home;
    std::size_t tensor;  // its index in tensors_
    std::size_t dims, ndim;
    std::size_t first_place, last_place;
    std::size_t first_number, last_number;
    py::object state;
    bool by_rows;
    bool plain;  // the parameter itself is updated
  };
  struct StateItem {
    PyObject* dict;
    std::size_t first, last;  // its part of state_values_
  };

  enum class Verdict : unsigned char { good, absent, moved, to_conform };

  bool same_lists(const py::list& lists) const;
  bool same_state(const py::dict& state) const;
  bool unmoved(const Entry& entry, PyObject* home) const;
  bool place(const py::handle& object, Place& place, DType& type) const;
  bool plain_gradient(PyObject* grad, const Entry& entry, Tensor& tensor) const;
  const py::object& home(std::size_t i) const;
  void fetch_ahead(std::size_t i) const;
  bool collect();
  void judge(int threads);
  Verdict verdict(std::size_t i);
  bool conform(std::size_t i);
  void take_rows(const Entry& entry, const py::tuple& rows);

  Inspector inspector_;
  py::object grad_;
  py::object local_, conform_;
  std::vector<std::vector<py::object>> lists_;
  std::vector<Entry> entries_;
  std::vector<std::int64_t> dims_;  // shape and strides of each home
  std::vector<Place> places_;
  std::vector<Number> numbers_;
  std::vector<StateItem> state_;
  std::vector<PyObject*> state_values_;  // in the dicts' order, null for what is no tensor
  // During a step, by entry:
  std::vector<py::object> grads_;
  std::vector<py::object> homes_;  // of parameters of another type: what they have here now
  std::vector<Verdict> verdicts_;
  // Of the last step's gradients: the next are often the same, or lie in their place.
  std::vector<Inspector::Spot> last_grads_;
};

void bind_exchange(py::module_& m);

}  // namespace fallline::python
