#include "objectives.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "fallline/curve.hpp"
#include "fallline/dispatch.hpp"
#include "fallline/linear_model.hpp"
#include "fallline/network.hpp"
#include "fallline/loss_surface.hpp"

namespace fallline::python {
namespace {

namespace py = pybind11;

// Evaluations that take microseconds: other Python threads lose less in them than handing over the
// interpreter's lock costs.
constexpr std::size_t too_short_to_share = 16 * 1024;

DType float_type(const py::array& array) {
  return array.itemsize() == sizeof(double) ? DType::f64 : DType::f32;
}

const void* data_or_null(const py::object& array) {
  return array.is_none() ? nullptr : py::reinterpret_borrow<py::array>(array).data();
}

// A model and the arrays that it reads.
template <class Model>
class Kept : public Model {
 public:
  template <class... Args>
  explicit Kept(py::tuple arrays, Args&&... args)
      : Model(std::forward<Args>(args)...), arrays_(std::move(arrays)) {}

 private:
  py::tuple arrays_;
};

int find(const char* const* names, int count, const std::string& name) {
  for (int i = 0; i < count; ++i)
    if (name == names[i]) return i;
  throw std::logic_error("the core has no " + name);
}

int find_head(const std::string& name) {
  return find(active_objectives().heads, active_objectives().head_count, name);
}

// The arrays were checked in Python; what is wrong here is a programming error.
std::unique_ptr<LinearModel> linear_model(const std::string& head, const py::tuple& x,
                                          const py::array& y, const py::object& weight,
                                          std::size_t features, std::size_t outputs, bool intercept,
                                          bool mean, double l2,
                                          std::vector<Objective::Range> penalized) {
  const auto values = py::reinterpret_borrow<py::array>(x[0]);
  Samples s;
  s.values = values.data();
  if (x.size() == 3) {
    const auto indices = py::reinterpret_borrow<py::array>(x[1]);
    s.indices = indices.data();
    s.indptr = py::reinterpret_borrow<py::array>(x[2]).data();
    s.wide = indices.itemsize() == sizeof(std::int64_t);
  }
  s.targets = y.data();
  s.weight = data_or_null(weight);
  s.rows = std::size_t(y.shape(0));
  s.features = features;
  s.target_count = std::size_t(y.shape(1));
  s.outputs = outputs;
  s.intercept = intercept;
  s.type = float_type(values);
  return std::make_unique<Kept<LinearModel>>(py::make_tuple(x, y, weight), s, find_head(head),
                                             Objective::Terms{mean, l2, std::move(penalized)});
}

// Addresses, as Python found them in the library that NumPy uses: two products, whether their
// integers are of 64 bits, and how many threads they take.
Blas blas_of(const py::tuple& found) {
  const auto address = [&](int i) { return found[std::size_t(i)].cast<std::uintptr_t>(); };
  Blas blas;
  blas.sgemm = reinterpret_cast<void*>(address(0));
  blas.dgemm = reinterpret_cast<void*>(address(1));
  blas.wide = found[2].cast<bool>();
  blas.get_threads = reinterpret_cast<int (*)()>(address(3));
  blas.set_threads = reinterpret_cast<void (*)(int)>(address(4));
  return blas;
}

std::unique_ptr<Network> network(const std::string& head, const std::string& activation,
                                 const py::array& x, const py::array& y, const py::object& weight,
                                 const std::vector<std::size_t>& widths, const py::tuple& blas,
                                 bool mean, double l2, std::vector<Objective::Range> penalized) {
  Samples s;
  s.values = x.data();
  s.targets = y.data();
  s.weight = data_or_null(weight);
  s.rows = std::size_t(x.shape(0));
  s.features = std::size_t(x.shape(1));
  s.target_count = std::size_t(y.shape(1));
  s.outputs = widths.back();
  s.type = float_type(x);
  const ObjectiveTable& table = active_objectives();
  const int index = find(table.activations, table.activation_count, activation);
  return std::make_unique<Kept<Network>>(
      py::make_tuple(x, y, weight), NetworkPlan(s, find_head(head), index, blas_of(blas), widths),
      Objective::Terms{mean, l2, std::move(penalized)});
}

std::unique_ptr<Curve> curve(const std::string& model, const py::array& x, const py::array& y,
                             const py::object& weight, std::size_t params, bool mean, double l2,
                             std::vector<Objective::Range> penalized) {
  const ObjectiveTable& table = active_objectives();
  const Points points{x.data(), y.data(),     data_or_null(weight), std::size_t(x.size()),
                      params,   float_type(x)};
  return std::make_unique<Kept<Curve>>(py::make_tuple(x, y, weight), points,
                                       find(table.curves, table.curve_count, model),
                                       Objective::Terms{mean, l2, std::move(penalized)});
}

Request request_for(const Objective& objective, const py::object& batch) {
  Request request;
  request.size = objective.samples();
  if (!batch.is_none()) {
    const auto indices = py::reinterpret_borrow<py::array>(batch);
    request.batch = static_cast<const std::int64_t*>(indices.data());
    request.size = std::size_t(indices.size());
  }
  return request;
}

double evaluate(const Objective& objective, const py::array& phi, const py::object& direction,
                const py::object& batch, const py::object& product, int threads) {
  Request request = request_for(objective, batch);
  request.phi = phi.data();
  request.direction = data_or_null(direction);
  if (!product.is_none())
    request.product = py::reinterpret_borrow<py::array>(product).mutable_data();
  if (std::size_t(phi.size()) != objective.params() || float_type(phi) != objective.type())
    throw std::logic_error("unchecked parameters");

  thread_local Workspace workspace;
  if (objective.work(request.size) < too_short_to_share)
    return objective.evaluate(request, threads, workspace);
  const py::gil_scoped_release release;
  return objective.evaluate(request, threads, workspace);
}

void losses_at_points(const Objective& objective, const py::array& points, const py::object& batch,
                      py::array_t<double> losses, int threads) {
  const auto count = std::size_t(losses.size());
  if (std::size_t(points.size()) != count * objective.params() ||
      float_type(points) != objective.type())
    throw std::logic_error("unchecked points");
  const Request request = request_for(objective, batch);
  double* out = losses.mutable_data();
  const py::gil_scoped_release release;
  losses_at(objective, request, points.data(), count, threads, out);
}

}  // namespace

void bind_objectives(py::module_& m) {
  py::class_<Objective>(m, "Objective")
      .def("evaluate", evaluate, py::arg("phi"), py::arg("direction"), py::arg("batch"),
           py::arg("product"), py::arg("threads"))
      .def("losses_at", losses_at_points, py::arg("points"), py::arg("batch"),
           py::arg("losses").noconvert(), py::arg("threads"));
  py::class_<LinearModel, Objective>(m, "LinearModel")
      .def(py::init(&linear_model), py::arg("head"), py::arg("x"), py::arg("y"), py::arg("weight"),
           py::arg("features"), py::arg("outputs"), py::arg("intercept"), py::arg("mean"),
           py::arg("l2"), py::arg("penalized"));
  py::class_<Network, Objective>(m, "Network")
      .def(py::init(&network), py::arg("head"), py::arg("activation"), py::arg("x"), py::arg("y"),
           py::arg("weight"), py::arg("widths"), py::arg("blas"), py::arg("mean"), py::arg("l2"),
           py::arg("penalized"));
  py::class_<Curve, Objective>(m, "Curve")
      .def(py::init(&curve), py::arg("model"), py::arg("x"), py::arg("y"), py::arg("weight"),
           py::arg("params"), py::arg("mean"), py::arg("l2"), py::arg("penalized"));
}

}  // namespace fallline::python
