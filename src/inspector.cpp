#include "inspector.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>

namespace fallline::python {

Inspector::Inspector(const py::tuple& types, const py::object& shim) {
  for (const py::handle type : types) types_.push_back(reinterpret_cast<PyTypeObject*>(type.ptr()));
  const py::object capsule = py::object(types[0]).attr(dlpack::attribute);
  const auto* api =
      static_cast<dlpack::ExchangeApi*>(PyCapsule_GetPointer(capsule.ptr(), dlpack::capsule));
  if (api == nullptr) throw py::error_already_set();
  if (api->major != 1 || api->tensor_from_object == nullptr)
    throw py::import_error("an exchange API of another kind");
  tensor_from_object_ = api->tensor_from_object;
  is_neg_ = py::object(types[0]).attr("is_neg");
  if (shim.is_none()) return;
  const auto fields = py::reinterpret_borrow<py::tuple>(shim);
  const auto reads = fields[0].cast<std::array<std::uintptr_t, read_count>>();
  std::transform(reads.begin(), reads.end(), reads_.begin(), [](std::uintptr_t address) {
    return reinterpret_cast<int (*)(void*, void*)>(address);
  });
  values_ = fields[1].cast<std::array<std::int32_t, value_count>>();
  held_ = fields[2].cast<std::size_t>();
  mark_ = fields[3].cast<std::size_t>();
  mark_bit_ = fields[4].cast<std::uint64_t>();
}

bool Inspector::look(PyObject* object, dlpack::Tensor& found) const {
  if (!knows(object)) return false;
  if (lock_free()) return look_by_shim(object, found);
  if (tensor_from_object_(object, &found) != 0) {
    PyErr_Clear();
    return false;
  }
  return found.device == dlpack::cpu || found.device == dlpack::pinned;
}

bool Inspector::look_by_shim(PyObject* object, dlpack::Tensor& found) const {
  std::int32_t is_layout, is_device, type;
  std::int64_t dimensions;
  if (*tensor(object) == nullptr || !read(layout, object, is_layout) ||
      is_layout != values_[strided] || !read(device_type, object, is_device) ||
      is_device != values_[cpu] || !read(dtype, object, type) ||
      !read(data_ptr, object, found.data) || !read(dim, object, dimensions) ||
      !read(sizes, object, found.shape) || !read(strides, object, found.strides))
    return false;
  found.device = dlpack::cpu;
  found.ndim = std::int32_t(dimensions);
  found.byte_offset = 0;
  found.type_lanes = 1;
  const auto value =
      Value(std::find(values_.begin() + float32, values_.end(), type) - values_.begin());
  found.type_code = value == value_count ? dlpack::other
                    : value == bfloat16  ? dlpack::brain_floating
                                         : dlpack::floating;
  found.type_bits = value == float64 ? 64 : value == float32 ? 32 : 16;
  return true;
}

const void* Inspector::address(PyObject* object) const {
  void* data = nullptr;
  if (lock_free()) return read(data_ptr, object, data) ? data : nullptr;
  dlpack::Tensor found;
  return look(object, found) ? dlpack::address(found) : nullptr;
}

bool Inspector::is_negative(PyObject* object) const {
  if (lock_free()) {
    std::uint64_t word;
    std::memcpy(&word, *tensor(object) + mark_, sizeof word);
    return (word & mark_bit_) != 0;
  }
  PyObject* arguments[] = {object};
  const auto answer =
      py::reinterpret_steal<py::object>(PyObject_Vectorcall(is_neg_.ptr(), arguments, 1, nullptr));
  if (!answer) throw py::error_already_set();
  return answer.ptr() == Py_True;
}

}  // namespace fallline::python
