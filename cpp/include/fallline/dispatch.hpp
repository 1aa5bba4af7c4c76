// Which ISAs were built, which this CPU and operating system can run, which is active.
#pragma once
#include <span>
#include <string_view>

#include "fallline/kernel_table.hpp"
#include "fallline/objective_table.hpp"

namespace fallline {

struct Isa {
  const char* name;
  const KernelTable* (*kernels)();
  const ObjectiveTable* (*objectives)();
  bool (*supported)();
};

// Best last, as in CMakeLists.txt.
std::span<const Isa> built_isas();
const KernelTable& active_kernels();
const ObjectiveTable& active_objectives();
// False where the ISA was not built or cannot run here; the active one then stays.
bool activate(std::string_view name);

}  // namespace fallline
