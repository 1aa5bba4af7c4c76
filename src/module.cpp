#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "fallline/dispatch.hpp"
#include "fastcall.hpp"
#include "exchange.hpp"
#include "objectives.hpp"
#include "pairs.hpp"
#include "tensors.hpp"
#include "train.hpp"

namespace py = pybind11;
using fallline::python::Tensors;

namespace {

py::list isas() {
  py::list names;
  for (const fallline::Isa& isa : fallline::built_isas())
    names.append(py::make_tuple(isa.name, isa.supported()));
  return names;
}

py::list rules() {
  const fallline::KernelTable& kernels = fallline::active_kernels();
  py::list list;
  for (int i = 0; i < kernels.rule_count; ++i) {
    const fallline::RuleInfo& r = kernels.rules[i];
    list.append(py::make_tuple(r.name, r.coefficients, r.slots, r.sums));
  }
  return list;
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "fallline's C++ core.";
  m.def("isas", isas, "(name, usable here) of every ISA built, best last.");
  m.def("active_isa", [] { return fallline::active_kernels().isa; });
  m.def("activate", &fallline::activate, py::arg("isa"));
  m.def("rules", rules, "(name, coefficients, slots, sums) of every rule.");
  m.attr("openmp") =
#ifdef _OPENMP
      _OPENMP;
#else
      0;
#endif
  m.attr("compiler") = FALLLINE_COMPILER;
  m.attr("tile_size") = fallline::tile_size;

  py::class_<Tensors> tensors(m, "Tensors");
  tensors
      .def(py::init<const py::list&, const py::list&, const std::vector<std::uint32_t>&,
                    const py::list&, const Tensors::Streams&>(),
           py::arg("params"), py::arg("slots"), py::arg("cohorts"), py::arg("masters"),
           py::arg("streams"))
      .def("bind", &Tensors::bind, py::arg("grads"))
      .def("sum_squares", &Tensors::sum_squares, py::arg("scale"), py::arg("threads"));
  using fallline::python::def_fastcall;
  def_fastcall<&Tensors::accept>(tensors, "accept", "accept(grads)");
  def_fastcall<&Tensors::update>(tensors, "update",
                                 "update(work, watch, threads, progress, pending, sums)");

  fallline::python::bind_exchange(m);
  fallline::python::bind_objectives(m);
  fallline::python::bind_pairs(m);
  fallline::python::bind_training(m);
}
