#include "exchange.hpp"

#include <algorithm>
#include <stdexcept>

#include "fallline/parallel.hpp"

namespace fallline::python {
namespace {

constexpr std::size_t none = ~std::size_t{0};

// What judging an entry costs, in elements of an update.
constexpr std::size_t look_cost = 256;

// Entries on the way to which tensors are fetched ahead.
constexpr std::size_t collected_ahead = 4, judged_ahead = 2, states_ahead = 8;

bool find_dtype(const dlpack::Tensor& tensor, DType& found) {
  if (tensor.type_lanes != 1) return false;
  if (tensor.type_code == dlpack::brain_floating && tensor.type_bits == 16) {
    found = DType::bf16;
    return true;
  }
  if (tensor.type_code != dlpack::floating) return false;
  switch (tensor.type_bits) {
    case 64:
      found = DType::f64;
      return true;
    case 32:
      found = DType::f32;
      return true;
    case 16:
      found = DType::f16;
      return true;
    default:
      return false;
  }
}

using dlpack::address;

std::size_t elements(const dlpack::Tensor& tensor) {
  std::size_t count = 1;
  for (std::int32_t d = 0; d < tensor.ndim; ++d) count *= std::size_t(tensor.shape[d]);
  return count;
}

// False too of zeros that were never written out, which have no memory.
bool readable(const dlpack::Tensor& tensor) {
  if (address(tensor) == nullptr) return elements(tensor) == 0;
  return reinterpret_cast<std::uintptr_t>(address(tensor)) % (tensor.type_bits / 8) == 0;
}

// Shape and strides are those of `dims`; the stride of a dimension of size 1 says nothing.
bool lies_like(const dlpack::Tensor& tensor, const std::int64_t* dims, std::size_t ndim) {
  if (std::size_t(tensor.ndim) != ndim || !std::equal(dims, dims + ndim, tensor.shape))
    return false;
  for (std::size_t d = 0; d < ndim; ++d)
    if (dims[d] > 1 && tensor.strides[d] != dims[ndim + d]) return false;
  return true;
}

double read(const void* number, DType type) {
  return type == DType::f64 ? *static_cast<const double*>(number)
                            : double(*static_cast<const float*>(number));
}

// What a number of this type remembers of `value`.
double write(const void* number, DType type, double value) {
  void* to = const_cast<void*>(number);
  if (type == DType::f64)
    *static_cast<double*>(to) = value;
  else
    *static_cast<float*>(to) = float(value);
  return read(number, type);
}

}  // namespace

ExchangedTensors::ExchangedTensors(const py::tuple& types, const py::list& lists,
                                   const py::list& entries, py::object local, py::object conform,
                                   const py::object& shim)
    : inspector_(types, shim),
      grad_(py::object(types[0]).attr("grad")),
      local_(std::move(local)),
      conform_(std::move(conform)) {
  for (const py::handle list : lists) {
    lists_.emplace_back();
    for (const py::handle param : py::reinterpret_borrow<py::list>(list))
      lists_.back().push_back(py::reinterpret_borrow<py::object>(param));
  }
  std::size_t next = 0, cohorts = 0;
  for (const auto& list : lists_)
    for (const py::object& param : list) {
      const py::handle given = entries[next++];
      Entry entry{};
      entry.param = param;
      entry.tensor = none;
      if (given.is_none()) {
        entries_.push_back(std::move(entry));
        continue;
      }
      const auto fields = py::reinterpret_borrow<py::tuple>(given);
      Tensor tensor{};
      dlpack::Tensor home;
      entry.home = fields[0];
      entry.plain = entry.home.is(param);
      if (!inspector_.look(entry.home.ptr(), home) || !find_dtype(home, tensor.param_type))
        throw std::logic_error("unchecked parameter");
      entry.dims = dims_.size();
      entry.ndim = std::size_t(home.ndim);
      dims_.insert(dims_.end(), home.shape, home.shape + home.ndim);
      dims_.insert(dims_.end(), home.strides, home.strides + home.ndim);
      tensor.size = elements(home);
      const auto item = [](DType type) { return item_size[int(type)]; };
      tensor.param = written(address(home), tensor.size * item(tensor.param_type));
      Place own;
      DType type;
      entry.first_place = places_.size();
      int s = 0;
      for (const py::handle slot : py::reinterpret_borrow<py::tuple>(fields[2])) {
        if (s == max_slots || !place(slot, own, type)) throw std::logic_error("unchecked slot");
        tensor.slots[s++] = written(own.data, tensor.size * item(type));
        places_.push_back(own);
      }
      if (!fields[1].is_none()) {
        if (!place(fields[1], own, type)) throw std::logic_error("unchecked master");
        tensor.master = written(own.data, tensor.size * item(type));
        places_.push_back(own);
      }
      entry.last_place = places_.size();
      entry.first_number = numbers_.size();
      for (const py::handle number : py::reinterpret_borrow<py::tuple>(fields[3])) {
        if (!place(number, own, type) || (type != DType::f32 && type != DType::f64))
          throw std::logic_error("unchecked number");
        numbers_.push_back({own, type, read(own.data, type)});
      }
      entry.last_number = numbers_.size();
      entry.state = fields[4];
      tensor.cohort = fields[5].cast<std::uint32_t>();
      entry.by_rows = fields[6].cast<bool>();
      tensor.offset = fields[7].cast<std::uint64_t>();
      cohorts = std::max<std::size_t>(cohorts, tensor.cohort + 1);
      tensor.index = std::uint32_t(entries_.size());
      entry.tensor = tensors_.size();
      tensors_.push_back(tensor);
      entries_.push_back(std::move(entry));
    }
  finish(cohorts);
}

bool ExchangedTensors::place(const py::handle& object, Place& found, DType& type) const {
  dlpack::Tensor tensor;
  if (!inspector_.look(object.ptr(), tensor) || !find_dtype(tensor, type)) return false;
  found = {py::reinterpret_borrow<py::object>(object), address(tensor)};
  return true;
}

bool ExchangedTensors::same_lists(const py::list& lists) const {
  if (lists.size() != lists_.size()) return false;
  for (std::size_t l = 0; l < lists_.size(); ++l) {
    PyObject* list = PyList_GET_ITEM(lists.ptr(), py::ssize_t(l));
    if (!PyList_Check(list) || std::size_t(PyList_GET_SIZE(list)) != lists_[l].size()) return false;
    for (std::size_t i = 0; i < lists_[l].size(); ++i)
      if (PyList_GET_ITEM(list, py::ssize_t(i)) != lists_[l][i].ptr()) return false;
  }
  return true;
}

// Every entry that was bound is in `state` still, with the tensors that it had.
bool ExchangedTensors::same_state(const py::dict& state) const {
  Py_ssize_t at = 0;
  PyObject *key, *value;
  std::size_t next = 0;
  while (PyDict_Next(state.ptr(), &at, &key, &value) != 0) {
    if (next == state_.size()) return false;
    if (next + states_ahead < state_.size()) __builtin_prefetch(state_[next + states_ahead].dict);
    const StateItem& item = state_[next++];
    if (value != item.dict) return false;
    if (PyDict_Check(value) == 0) continue;
    Py_ssize_t inner = 0;
    PyObject *name, *entry;
    for (std::size_t v = item.first; v < item.last; ++v)
      if (PyDict_Next(value, &inner, &name, &entry) == 0 ||
          (state_values_[v] != nullptr && entry != state_values_[v]))
        return false;
    if (PyDict_Next(value, &inner, &name, &entry) != 0) return false;
  }
  return next == state_.size();
}

void ExchangedTensors::remember_state(const py::dict& state) {
  state_.clear();
  state_values_.clear();
  for (const auto& [key, value] : state) {
    const std::size_t first = state_values_.size();
    if (PyDict_Check(value.ptr()))
      for (const auto& [name, entry] : py::reinterpret_borrow<py::dict>(value)) {
        const bool tensor = py::isinstance(entry, inspector_.type());
        state_values_.push_back(tensor ? entry.ptr() : nullptr);
      }
    state_.push_back({value.ptr(), first, state_values_.size()});
  }
}

bool ExchangedTensors::unmoved(const Entry& entry, PyObject* home) const {
  const Tensor& tensor = tensors_[entry.tensor];
  dlpack::Tensor now;
  DType type;
  if (!inspector_.look(home, now) || address(now) != tensor.param || !find_dtype(now, type) ||
      type != tensor.param_type || !lies_like(now, &dims_[entry.dims], entry.ndim))
    return false;
  // State tensors that are the same objects as before can have other memory (`tensor.data = …`),
  // and the old may have been freed.
  const auto stays = [this](const Place& place) {
    return inspector_.address(place.object.ptr()) == place.data;
  };
  for (std::size_t p = entry.first_place; p < entry.last_place; ++p)
    if (!stays(places_[p])) return false;
  for (std::size_t n = entry.first_number; n < entry.last_number; ++n) {
    const Number& number = numbers_[n];
    if (!stays(number.place) || read(number.place.data, number.type) != number.value) return false;
  }
  return true;
}

bool ExchangedTensors::plain_gradient(PyObject* grad, const Entry& entry, Tensor& tensor) const {
  dlpack::Tensor found;
  DType type;
  if (!inspector_.look(grad, found) || !find_dtype(found, type) || !readable(found) ||
      !lies_like(found, &dims_[entry.dims], entry.ndim) || inspector_.is_negative(grad))
    return false;
  // What lay apart in the last step does so still: what is written has not moved.
  if (tensor.grad == address(found) && tensor.grad_type == type) return true;
  const auto* begin = static_cast<const char*>(address(found));
  const bool apart = !overlaps(begin, tensor.size * item_size[int(type)]);
  tensor.grad = apart ? begin : nullptr;
  tensor.grad_type = type;
  return apart;
}

// Each row as a tensor of its own, of the same cohort.
void ExchangedTensors::take_rows(const Entry& entry, const py::tuple& rows) {
  dlpack::Tensor indices, values;
  Tensor& tensor = tensors_[entry.tensor];
  if (!inspector_.look(py::object(rows[0]).ptr(), indices) ||
      !inspector_.look(py::object(rows[1]).ptr(), values) || !find_dtype(values, tensor.grad_type))
    throw std::logic_error("unchecked rows");
  tensor.grad = address(values);
  const auto* index = static_cast<const std::int64_t*>(address(indices));
  const std::size_t length = tensor.size / std::size_t(dims_[entry.dims]);
  const bool wide = computes_in_f64(tensor.param_type);
  const auto move = [](const void* base, std::size_t bytes) {
    return static_cast<char*>(const_cast<void*>(base)) + bytes;
  };
  for (std::int64_t r = 0; r < indices.shape[0]; ++r) {
    const std::size_t begin = std::size_t(index[r]) * length;
    Tensor row = tensor;
    row.size = length;
    row.param = move(tensor.param, begin * item_size[int(tensor.param_type)]);
    row.grad = move(tensor.grad, std::size_t(r) * length * item_size[int(tensor.grad_type)]);
    for (void*& slot : row.slots)
      if (slot != nullptr) slot = move(slot, begin * (wide ? 8 : 4));
    if (row.master != nullptr) row.master = move(row.master, begin * 4);
    row.row = std::uint32_t(index[r]);
    rows_.push_back(row);
    row_owners_.push_back(entry.tensor);
  }
}

// Where entry i's elements are, once collect() has seen it.
const py::object& ExchangedTensors::home(std::size_t i) const {
  return entries_[i].plain ? entries_[i].param : homes_[i];
}

// What verdict(i) is going to look at.
void ExchangedTensors::fetch_ahead(std::size_t i) const {
  const Entry& entry = entries_[i];
  if (entry.tensor == none) return;
  inspector_.fetch(home(i).ptr());
  inspector_.fetch(grads_[i].ptr());
  for (std::size_t p = entry.first_place; p < entry.last_place; ++p)
    inspector_.fetch(places_[p].object.ptr());
  for (std::size_t n = entry.first_number; n < entry.last_number; ++n) {
    inspector_.fetch(numbers_[n].place.object.ptr());
    __builtin_prefetch(numbers_[n].place.data);
  }
}

// What only the interpreter can tell: gradients, and where tensors of other types are.
bool ExchangedTensors::collect() {
  grads_.resize(entries_.size());
  homes_.resize(entries_.size());
  last_grads_.resize(entries_.size());
  const bool ahead = inspector_.lock_free();
  const descrgetfunc get = Py_TYPE(grad_.ptr())->tp_descr_get;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (ahead && i + collected_ahead < entries_.size()) {
      inspector_.fetch(entries_[i + collected_ahead].param.ptr());
      inspector_.fetch(last_grads_[i + collected_ahead]);
    }
    const Entry& entry = entries_[i];
    PyObject* param = entry.param.ptr();
    grads_[i] = entry.plain && get != nullptr
                    ? py::reinterpret_steal<py::object>(
                          get(grad_.ptr(), param, reinterpret_cast<PyObject*>(Py_TYPE(param))))
                    : py::object(entry.param.attr("grad"));
    if (!grads_[i]) throw py::error_already_set();
    if (ahead) last_grads_[i] = inspector_.spot(grads_[i].ptr());
    const bool present = !grads_[i].is_none();
    if (entry.tensor == none) {
      if (present) return false;
      continue;
    }
    if (!take_part(entry.tensor, present)) return false;
    if (entry.plain) continue;
    homes_[i] = local_(entry.param);
    if (homes_[i].is_none()) homes_[i] = entry.home;
    if (!present || entry.by_rows) continue;
    // Of a DTensor, the part that is here: to copy it made a step 1.6 times as long.
    const py::object local = local_(grads_[i]);
    if (!local.is_none()) grads_[i] = local;
  }
  return true;
}

ExchangedTensors::Verdict ExchangedTensors::verdict(std::size_t i) {
  const Entry& entry = entries_[i];
  if (entry.tensor == none) return Verdict::absent;
  if (!unmoved(entry, home(i).ptr())) return Verdict::moved;
  Tensor& tensor = tensors_[entry.tensor];
  if (grads_[i].is_none()) {
    tensor.grad = nullptr;
    return Verdict::absent;
  }
  const bool good = !entry.by_rows && plain_gradient(grads_[i].ptr(), entry, tensor);
  return good ? Verdict::good : Verdict::to_conform;
}

void ExchangedTensors::judge(int threads) {
  verdicts_.resize(entries_.size());
  const std::size_t work = inspector_.lock_free() ? entries_.size() * look_cost : 0;
  run_each(entries_.size(), work, threads, [this](std::size_t i, std::size_t) {
    if (inspector_.lock_free() && i + judged_ahead < entries_.size()) fetch_ahead(i + judged_ahead);
    verdicts_[i] = verdict(i);
  });
}

// Lets Python make the gradient such as the kernels take; false where it is to be bound anew.
bool ExchangedTensors::conform(std::size_t i) {
  const Entry& entry = entries_[i];
  Tensor& tensor = tensors_[entry.tensor];
  tensor.grad = nullptr;
  grads_[i] = conform_(i, grads_[i]);
  if (grads_[i].is_none()) return false;
  if (py::isinstance<py::tuple>(grads_[i]))
    take_rows(entry, py::reinterpret_borrow<py::tuple>(grads_[i]));
  else if (!plain_gradient(grads_[i].ptr(), entry, tensor))
    throw std::logic_error("unchecked gradient");
  return true;
}

py::object ExchangedTensors::accept(const py::list& lists, const py::dict& state, int threads) {
  release();
  if (!same_lists(lists) || !same_state(state)) return py::bool_(false);
  begin();
  rows_.clear();
  row_owners_.clear();
  by_rows_ = std::any_of(entries_.begin(), entries_.end(),
                         [](const Entry& entry) { return entry.by_rows; });
  if (!collect()) return py::bool_(false);
  judge(threads);
  if (std::find(verdicts_.begin(), verdicts_.end(), Verdict::moved) != verdicts_.end())
    return py::bool_(false);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (verdicts_[i] == Verdict::to_conform && !conform(i)) return py::bool_(false);
    if (by_rows_ && !entries_[i].by_rows && verdicts_[i] != Verdict::absent) {
      rows_.push_back(tensors_[entries_[i].tensor]);
      row_owners_.push_back(entries_[i].tensor);
    }
  }
  return taking_part();
}

void ExchangedTensors::release() {
  grads_.clear();
  homes_.clear();
}

py::ssize_t ExchangedTensors::update(const py::tuple& work, bool watch, int threads,
                                     py::list progress, const py::object& pending,
                                     const py::object& sums, const py::tuple& numbers) {
  const py::ssize_t bad = Tensors::update(work, watch, threads, progress, pending, sums);
  for (const Entry& entry : entries_) {
    if (entry.tensor == none) continue;
    PyObject* own = PyTuple_GET_ITEM(numbers.ptr(), py::ssize_t(tensors_[entry.tensor].cohort));
    if (own == Py_None) continue;
    for (std::size_t n = entry.first_number; n < entry.last_number; ++n) {
      PyObject* value = PyTuple_GET_ITEM(own, py::ssize_t(n - entry.first_number));
      numbers_[n].value = write(numbers_[n].place.data, numbers_[n].type, PyFloat_AsDouble(value));
    }
  }
  release();
  return bad;
}

void bind_exchange(py::module_& m) {
  py::class_<ExchangedTensors>(m, "ExchangedTensors")
      .def(py::init<const py::tuple&, const py::list&, const py::list&, py::object, py::object,
                    const py::object&>(),
           py::arg("types"), py::arg("lists"), py::arg("entries"), py::arg("local"),
           py::arg("conform"), py::arg("shim"))
      .def("remember_state", &ExchangedTensors::remember_state, py::arg("state"))
      .def("accept", &ExchangedTensors::accept, py::arg("lists"), py::arg("state"),
           py::arg("threads"))
      .def("sum_squares", &ExchangedTensors::sum_squares, py::arg("scale"), py::arg("threads"))
      .def("release", &ExchangedTensors::release)
      .def("update", &ExchangedTensors::update, py::arg("work"), py::arg("watch"),
           py::arg("threads"), py::arg("progress"), py::arg("pending"), py::arg("sums"),
           py::arg("numbers"));
}

}  // namespace fallline::python
