// Which ISAs are usable, which is active, and that all offer the same rules.
#include "check.hpp"
#include "fallline/dispatch.hpp"
#include "problem.hpp"

using namespace fallline;
using namespace fallline::test;

namespace {

// The compiler's own detection, which looks at the operating system's part as well.
[[maybe_unused]] bool compiler_says(std::string_view isa) {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  if (isa == "avx2") return v3;
  if (isa == "avx512")
    return v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
#endif
  return isa == built_isas()[0].name;
}

void same_rules(const KernelTable& got, const KernelTable& expected) {
  if (!CHECK_EQUAL(got.rule_count, expected.rule_count, got.isa)) return;
  for (int i = 0; i < got.rule_count; ++i) {
    CHECK_EQUAL(std::string_view(got.rules[i].name), expected.rules[i].name);
    CHECK_EQUAL(std::string_view(got.rules[i].coefficients), expected.rules[i].coefficients);
    CHECK_EQUAL(got.rules[i].slots, expected.rules[i].slots, got.rules[i].name);
    CHECK_EQUAL(got.rules[i].sums, expected.rules[i].sums, got.rules[i].name);
    CHECK(got.rules[i].slots <= max_slots, got.rules[i].name);
    CHECK(got.rules[i].sums <= max_sums, got.rules[i].name);
    CHECK(coefficient_count(got.rules[i]) <= max_coefficients, got.rules[i].name);
  }
}

}  // namespace

int main() {
  const auto isas = built_isas();
  CHECK(!isas.empty() && isas[0].supported());
  const auto usable = usable_kernels();
  CHECK_EQUAL(std::string_view(active_kernels().isa), usable.back()->isa, "(the best, at load)");

  for (const Isa& isa : isas) {
    CHECK_EQUAL(isa.supported(), compiler_says(isa.name), isa.name);
    CHECK_EQUAL(std::string_view(isa.kernels()->isa), isa.name);
    same_rules(*isa.kernels(), *isas[0].kernels());
    const std::string_view before = active_kernels().isa;
    CHECK_EQUAL(activate(isa.name), isa.supported(), isa.name);
    CHECK_EQUAL(std::string_view(active_kernels().isa), isa.supported() ? isa.name : before);
  }

  const std::string_view before = active_kernels().isa;
  for (const char* name : {"", "sse", "avx5120", "AVX2", "nonsense"}) CHECK(!activate(name), name);
  CHECK_EQUAL(std::string_view(active_kernels().isa), before);
  return report();
}
