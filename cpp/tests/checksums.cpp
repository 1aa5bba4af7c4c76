// Prints a checksum of 20 steps for every rule and storage type, and of every linear model's
// losses, products and steps, and every curve's losses and products: the bits that every ISA and
// every machine must agree on.
//
//   checksums          with the best ISA usable here
//   checksums avx2     with this one
//   checksums --isas   lists those usable here
#include <cinttypes>
#include <cstdio>

#include "curve_problem.hpp"
#include "model_problem.hpp"

namespace {

using namespace fallline;
using namespace fallline::test;

void print(const char* name, const char* kind, DType type, std::uint64_t checksum) {
  std::printf("%s %s %s %016" PRIx64 "\n", name, kind, dtype_name[int(type)], checksum);
}

void print_models() {
  const ObjectiveTable& table = active_objectives();
  int sgd = 0;
  while (std::string_view(active_kernels().rules[sgd].name) != "sgd") ++sgd;
  for (int head = 0; head < table.head_count; ++head)
    for (DType type : {DType::f64, DType::f32})
      for (std::size_t features : {1u, 7u, 70u}) {
        const std::size_t outputs = std::string_view(table.heads[head]) == "softmax" ? 5 : 1;
        ModelProblem dense(head, type, 700, features, outputs, 1.0, false);
        print(table.heads[head], "dense", type, dense.checksum(1));
        ModelProblem narrow(head, type, 700, features, outputs, 0.3, false);
        ModelProblem wide(head, type, 700, features, outputs, 0.3, true);
        print(table.heads[head], "sparse", type, narrow.checksum(1));
        print(table.heads[head], "sparse64", type, wide.checksum(3));
        ModelProblem one(head, type, 300, features, outputs, 1.0, false, 0.0);
        print(table.heads[head], "steps", type, one.steps_checksum(sgd));
      }
}

}  // namespace

int main(int argc, char** argv) {
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
      print(kernels.rules[i].name, "rule", type, problem.checksum());
    }
  print_models();
  for (int i = 0; i < active_objectives().curve_count; ++i) {
    const char* name = active_objectives().curves[i];
    print(name, "curve", DType::f64, curve_checksum<double>(i));
    print(name, "curve", DType::f32, curve_checksum<float>(i));
  }
}
