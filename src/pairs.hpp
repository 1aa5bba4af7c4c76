// Bindings of a quasi-Newton method's history.
#pragma once
#include <pybind11/pybind11.h>

namespace fallline::python {

void bind_pairs(pybind11::module_& m);

}  // namespace fallline::python
