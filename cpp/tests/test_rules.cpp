// Every rule gives the same bits on every ISA and at any number of threads, and writes nothing
// outside its arrays.
#include "check.hpp"
#include "problem.hpp"

using namespace fallline;
using namespace fallline::test;

namespace {

Problem after(Problem problem, const KernelTable& kernels, int steps, int threads) {
  for (int t = 0; t < steps; ++t) problem.step(kernels, threads);
  return problem;
}

// Around every vector width and the tile; with nothing fetched ahead, and 64 bytes, of which arrays
// of 1 KiB are long enough.
void isas_agree(const RuleInfo& rule, int index, DType type) {
  const Problem initial(rule, index, type,
                        {0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 1023, 1025});
  const Problem expected = after(initial, *built_isas()[0].kernels(), 5, 1);
  CHECK(expected.checksum() != initial.checksum(), rule.name);
  CHECK(expected.finite_share() > 0.5, rule.name, dtype_name[int(type)], expected.finite_share());
  for (const KernelTable* kernels : usable_kernels())
    for (std::size_t ahead : {0u, 64u}) {
      *kernels->bytes_ahead = ahead;
      const Problem got = after(initial, *kernels, 5, 1);
      CHECK_EQUAL(got.checksum(), expected.checksum(), rule.name, kernels->isa,
                  dtype_name[int(type)], ahead);
      CHECK(got.guards_intact(), rule.name, kernels->isa, dtype_name[int(type)]);
    }
}

// Enough for seven threads, of which each gets at least 16,384 elements.
void threads_agree(const RuleInfo& rule, int index) {
  const Problem initial(rule, index, DType::f32, {40'000, 1, 0, 62'001});
  const Problem expected = after(initial, active_kernels(), 2, 1);
  for (int threads : {2, 3, 7}) {
    const Problem got = after(initial, active_kernels(), 2, threads);
    CHECK_EQUAL(got.checksum(), expected.checksum(), rule.name, threads);
    CHECK(got.guards_intact(), rule.name, threads);
  }
}

}  // namespace

int main() {
  const KernelTable& kernels = active_kernels();
  for (int i = 0; i < kernels.rule_count; ++i) {
    for (DType type : dtypes) isas_agree(kernels.rules[i], i, type);
    threads_agree(kernels.rules[i], i);
  }
  return report();
}
