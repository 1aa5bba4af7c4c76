// Where a framework's tensors lie.
#pragma once
#include <pybind11/pybind11.h>

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

  // Whether all of these need neither the interpreter's lock nor the caller's thread.
  bool lock_free() const { return reads_[0] != nullptr; }

  py::handle type() const { return reinterpret_cast<PyObject*>(types_.front()); }

 private:
  enum Read { layout, device_type, dtype, data_ptr, dim, sizes, strides, read_count };
  enum Value { strided, cpu, float32, float64, bfloat16, float16, value_count };

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
