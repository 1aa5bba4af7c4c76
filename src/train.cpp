#include "train.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <memory>
#include <stdexcept>
#include <string_view>

#include "fallline/dispatch.hpp"
#include "fallline/train.hpp"

namespace fallline::python {
namespace {

namespace py = pybind11;

using Doubles = py::array_t<double, py::array::c_style>;
using Indices = py::array_t<std::int64_t, py::array::c_style>;

int find_rule(std::string_view name) {
  const KernelTable& table = active_kernels();
  for (int i = 0; i < table.rule_count; ++i)
    if (name == table.rules[i].name) return i;
  throw std::logic_error("the core has no such rule");
}

// The arrays were checked in Python; what is wrong here is a programming error.
class KeptTrainer {
 public:
  KeptTrainer(py::object objective, std::string_view rule, py::array phi, const py::tuple& slots,
              py::array gradient, py::array last)
      : kept_(py::make_tuple(objective, phi, slots, gradient, last)) {
    const auto& core = objective.cast<const Objective&>();
    Tensor tensor{};
    tensor.param = phi.mutable_data();
    tensor.size = std::size_t(phi.size());
    tensor.param_type = tensor.grad_type = core.type();
    if (tensor.size != core.params() || slots.size() > std::size_t(max_slots))
      throw std::logic_error("unchecked parameters");
    for (std::size_t i = 0; i < slots.size(); ++i)
      tensor.slots[i] = py::reinterpret_borrow<py::array>(slots[i]).mutable_data();
    trainer_ = std::make_unique<Trainer>(core, find_rule(rule), tensor, gradient.mutable_data(),
                                         last.mutable_data());
  }

  // Steps taken, why no more, and the loss and norm there. The optimizer's progress is noted here,
  // where no signal handler can come in between: (steps, ((t, scalars), ), None), the scalars those
  // of `states` after as many steps, or of its only entry.
  py::tuple run(const py::object& order, const py::object& offsets, const Doubles& coefficients,
                double max_norm, const py::tuple& watch, Doubles losses, Doubles norms, int threads,
                py::list progress, const py::tuple& states) {
    Steps steps{};
    steps.count = std::size_t(coefficients.shape(0));
    if (!order.is_none()) {
      steps.order = order.cast<Indices>().data();
      steps.offsets = offsets.cast<Indices>().data();
    }
    steps.coefficients = coefficients.data();
    steps.coefficient_count = std::size_t(coefficients.shape(1));
    steps.max_norm = max_norm;
    steps.losses = losses.mutable_data();
    steps.norms = norms.mutable_data();
    const Watch where{watch[0].cast<double>(), watch[1].cast<double>(), watch[2].cast<double>(),
                      watch[3].cast<double>()};
    const Trained done = [&] {
      const py::gil_scoped_release release;
      return trainer_->run(steps, where, threads);
    }();

    const auto before = progress[0].cast<py::tuple>();
    const auto cohort = before[1].cast<py::tuple>()[0].cast<py::tuple>();
    const auto after = [&](const py::handle& taken) {
      return py::int_(taken.cast<std::size_t>() + done.steps);
    };
    const py::object state = states[states.size() > 1 ? done.steps : 0];
    progress[0] = py::make_tuple(
        after(before[0]), py::make_tuple(py::make_tuple(after(cohort[0]), state)), py::none());
    return py::make_tuple(done.steps, int(done.halted), done.loss, done.norm);
  }

 private:
  py::tuple kept_;
  std::unique_ptr<Trainer> trainer_;
};

}  // namespace

void bind_training(py::module_& m) {
  py::class_<KeptTrainer>(m, "Trainer")
      .def(py::init<py::object, std::string_view, py::array, const py::tuple&, py::array,
                    py::array>(),
           py::arg("objective"), py::arg("rule"), py::arg("phi"), py::arg("slots"),
           py::arg("gradient"), py::arg("last"))
      .def("run", &KeptTrainer::run, py::arg("order"), py::arg("offsets"), py::arg("coefficients"),
           py::arg("max_norm"), py::arg("watch"), py::arg("losses"), py::arg("norms"),
           py::arg("threads"), py::arg("progress"), py::arg("states"));
}

}  // namespace fallline::python
