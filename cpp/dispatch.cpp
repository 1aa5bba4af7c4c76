#include "fallline/dispatch.hpp"

#include <atomic>

#include "fallline/cpu.hpp"

// isas.def is written by CMake from its table: FALLLINE_ISA_ROW(name, CPU test) each.
namespace fallline {

#define FALLLINE_ISA_ROW(name, test)  \
  namespace name {                    \
  const KernelTable* kernels();       \
  const ObjectiveTable* objectives(); \
  }
#include "isas.def"
#undef FALLLINE_ISA_ROW

namespace {

#define FALLLINE_ISA_ROW(name, test) {#name, name::kernels, name::objectives, cpu::test},
constexpr Isa isas[] = {
#include "isas.def"
};
#undef FALLLINE_ISA_ROW

// The best ISA, with all that can run made ready.
const Isa* best() {
  const Isa* found = nullptr;
  for (const Isa& isa : isas)
    if (isa.supported()) {
      *isa.kernels()->bytes_ahead = cpu::fetch_ahead();
      found = &isa;
    }
  return found;
}

std::atomic<const Isa*>& active() {
  static std::atomic<const Isa*> isa{best()};
  return isa;
}

}  // namespace

std::span<const Isa> built_isas() { return isas; }

const KernelTable& active_kernels() { return *active().load(std::memory_order_relaxed)->kernels(); }

const ObjectiveTable& active_objectives() {
  return *active().load(std::memory_order_relaxed)->objectives();
}

bool activate(std::string_view name) {
  for (const Isa& isa : isas)
    if (name == isa.name && isa.supported()) {
      active().store(&isa, std::memory_order_relaxed);
      return true;
    }
  return false;
}

}  // namespace fallline
