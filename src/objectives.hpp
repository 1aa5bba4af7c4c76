// Losses over samples that Python keeps.
#pragma once
#include <pybind11/pybind11.h>

namespace fallline::python {

void bind_objectives(pybind11::module_& m);

}  // namespace fallline::python
