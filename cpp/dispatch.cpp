#include "fallline/dispatch.hpp"

#include <atomic>

#include "fallline/cpu.hpp"

// isas.def is written by CMake from its table: FALLLINE_ISA_ROW(name, CPU test) each.
namespace fallline {

#define FALLLINE_ISA_ROW(name, test) \
  namespace name {                   \
  const KernelTable* kernels();      \
  }
#include "isas.def"
#undef FALLLINE_ISA_ROW

namespace {

#define FALLLINE_ISA_ROW(name, test) {#name, name::kernels, cpu::test},
constexpr Isa isas[] = {
#include "isas.def"
};
#undef FALLLINE_ISA_ROW

const KernelTable* best() {
  const KernelTable* kernels = nullptr;
  for (const Isa& isa : isas)
    if (isa.supported()) kernels = isa.kernels();
  return kernels;
}

std::atomic<const KernelTable*>& active() {
  static std::atomic<const KernelTable*> table{best()};
  return table;
}

}  // namespace

std::span<const Isa> built_isas() { return isas; }

const KernelTable& active_kernels() { return *active().load(std::memory_order_relaxed); }

bool activate(std::string_view name) {
  for (const Isa& isa : isas)
    if (name == isa.name && isa.supported()) {
      active().store(isa.kernels(), std::memory_order_relaxed);
      return true;
    }
  return false;
}

}  // namespace fallline
