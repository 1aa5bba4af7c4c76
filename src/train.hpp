// Many steps of one optimizer on one objective in a call.
#pragma once
#include <pybind11/pybind11.h>

namespace fallline::python {

void bind_training(pybind11::module_& m);

}  // namespace fallline::python
