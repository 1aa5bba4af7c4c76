// Prints a checksum of 20 steps for every rule and storage type, and of every curve's derivatives:
// the bits that every ISA and every machine must agree on.
//
//   checksums          with the best ISA usable here
//   checksums avx2     with this one
//   checksums --isas   lists those usable here
#include <cinttypes>
#include <cstdio>

#include "curve_problem.hpp"
#include "problem.hpp"

int main(int argc, char** argv) {
  using namespace fallline;
  using namespace fallline::test;

  if (argc > 1 && std::string_view(argv[1]) == "--isas") {
    for (const KernelTable* kernels : usable_kernels()) std::printf("%s\n", kernels->isa);
    return 0;
  }
  if (argc > 1 && !activate(argv[1])) {
    std::fprintf(stderr, "ISA '%s' is not usable here (see --isas)\n", argv[1]);
    return 2;
  }
  const KernelTable& kernels = active_kernels();
  for (int i = 0; i < kernels.rule_count; ++i)
    for (DType type : dtypes) {
      // Exact allocations, so that the address sanitizer sees the first byte behind an array.
      Problem problem(kernels.rules[i], i, type, {1, 0, 33, 1024, 2500}, 0);
      for (int t = 0; t < 20; ++t) problem.step(kernels, 1);
      std::printf("%s %s %016" PRIx64 "\n", kernels.rules[i].name, dtype_name[int(type)],
                  problem.checksum());
    }
  for (int i = 0; i < active_objectives().curve_count; ++i) {
    const char* name = active_objectives().curves[i];
    std::printf("%s f64 %016" PRIx64 "\n", name, curve_checksum<double>(i));
    std::printf("%s f32 %016" PRIx64 "\n", name, curve_checksum<float>(i));
  }
}
