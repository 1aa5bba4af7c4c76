// Where a framework's tensors lie.
#pragma once
#include <pybind11/pybind11.h>

#include <algorithm>
#include <array>
#include <vector>

#include "dlpack.hpp"

namespace fallline::python {

namespace py = pybind11;

// Asks torch's C interface for compiled models, or else by DLPack's C exchange API.
class Inspector {
 public:
  // `types` have the API and no memory but their own. `shim` is None, or what torch/_shim.py found:
  // the addresses of int read(tensor, void* result) for each of Read, the values of Value, where a
  // Python tensor holds its C++ tensor, and which bit of that marks a negative view.
  Inspector(const py::tuple& types, const py::object& shim);

  // False where the object is no plain tensor in host memory.
  bool look(PyObject* object, dlpack::Tensor& found) const;

  // Where the elements are, of what look() found once; null where that cannot be told.
  const void* address(PyObject* object) const;

  bool is_negative(PyObject* object) const;

  // Objects and what they hold lie anywhere, and a step of many pushes them out of the caches: what
  // is looked at next is asked for ahead. Only where lock_free().
  struct Spot {
    const void* object = nullptr;
    const char* held = nullptr;
  };
  Spot spot(PyObject* object) const { return {object, knows(object) ? *tensor(object) : nullptr}; }
  // Of an object that may be gone by now: nothing is read.
  void fetch(const Spot& spot) const {
    asm volatile("");  // GCC drops calls of a function that does nothing but fetch
    __builtin_prefetch(spot.object);
    for (int line = 0; line < tensor_lines; ++line) __builtin_prefetch(spot.held + 64 * line);
  }
  void fetch(PyObject* object) const {
    const Spot own = spot(object);
    if (own.held == nullptr) return;
    fetch(own);
    // Storage and autograd's part; were they elsewhere in a tensor, lines were asked for in vain.
    for (int word = 2; word < 4; ++word)
      __builtin_prefetch(reinterpret_cast<void* const*>(own.held)[word]);
  }

  // Whether all of these need neither the interpreter's lock nor the caller's thread.
  bool lock_free() const { return reads_[0] != nullptr; }

  py::handle type() const { return reinterpret_cast<PyObject*>(types_.front()); }

 private:
  enum Read { layout, device_type, dtype, data_ptr, dim, sizes, strides, read_count };
  enum Value { strided, cpu, float32, float64, bfloat16, float16, value_count };

  static constexpr int tensor_lines = 3;  // some 200 bytes

  bool knows(PyObject* object) const {
    return std::find(types_.begin(), types_.end(), Py_TYPE(object)) != types_.end();
  }
  char** tensor(PyObject* object) const {
    return reinterpret_cast<char**>(reinterpret_cast<char*>(object) + held_);
  }
  template <class Result>
  bool read(Read what, PyObject* object, Result& result) const {
    return reads_[what](tensor(object), &result) == 0;
  }
  bool look_by_shim(PyObject* object, dlpack::Tensor& found) const;

  std::vector<PyTypeObject*> types_;
  std::array<int (*)(void*, void*), read_count> reads_{};
  std::array<std::int32_t, value_count> values_{};
  std::size_t held_ = 0, mark_ = 0;
  std::uint64_t mark_bit_ = 0;
  int (*tensor_from_object_)(void*, dlpack::Tensor*);
  py::object is_neg_;
};

}  // namespace fallline::python
