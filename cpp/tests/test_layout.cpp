// Parts of the work cover every element exactly once, on tile boundaries.
#include "check.hpp"
#include "problem.hpp"

using namespace fallline;
using namespace fallline::test;

namespace {

using Sizes = std::vector<std::size_t>;

const Sizes shapes[] = {
    {0},           {1},
    {0, 0, 0},     {1024},
    {1023, 1025},  {0, 5, 0, 0, 3000, 0},
    {200'000},     {1, 150'000, 0, 2, 70'000, 1},
    Sizes(500, 7), Sizes(300, 1000),
    {2'100'000},  // enough for 13 threads without OpenMP, too
};

// Tensors whose every third sits the step out, where `some_absent`.
struct Work {
  Work(const Sizes& sizes, bool some_absent) {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      params.emplace_back(sizes[i], 0.0f);
      grads.emplace_back(sizes[i], 1.0f);
      Tensor t{};
      t.param = params.back().data();
      // An empty vector's data() may be null, which would mean that the tensor sits out.
      const bool present = !(some_absent && i % 3 == 1);
      t.grad = present ? (sizes[i] == 0 ? &nothing : grads.back().data()) : nullptr;
      t.param_type = t.grad_type = DType::f32;
      t.size = sizes[i];
      tensors.push_back(t);
    }
    layout.rebuild(tensors);
  }
  static constexpr float nothing = 0;
  std::vector<std::vector<float>> params, grads;
  std::vector<Tensor> tensors;
  Layout layout;
};

void boundaries(const Work& work, std::size_t parts) {
  Layout::Position last{0, 0};
  for (std::size_t k = 0; k <= parts; ++k) {
    const Layout::Position here = work.layout.part(work.tensors, k, parts);
    CHECK(here.tensor > last.tensor || (here.tensor == last.tensor && here.element >= last.element),
          k, parts);
    CHECK(here.element % tile_size == 0, here.element);
    if (here.tensor < work.tensors.size())
      CHECK(here.element <= work.tensors[here.tensor].size, here.element);
    last = here;
  }
  CHECK_EQUAL(last.tensor, work.tensors.size(), parts);
  // The most that rounding to a tile can add to an even share.
  const std::size_t share = work.layout.work() / parts;
  for (std::size_t k = 0; k < parts; ++k) {
    const auto at = [&](std::size_t j) {
      const Layout::Position p = work.layout.part(work.tensors, j, parts);
      std::size_t elements = p.element;
      for (std::size_t i = 0; i < p.tensor; ++i)
        elements += work.tensors[i].grad != nullptr ? work.tensors[i].size : 0;
      return elements;
    };
    CHECK(at(k + 1) - at(k) <= share + tile_size + 1, k, parts, at(k + 1) - at(k), share);
  }
}

// `stream0` adds the gradient, 1, to a parameter.
void every_element_once(Work& work, int threads) {
  const KernelTable& kernels = active_kernels();
  Cohort cohort{};
  cohort.factor = 1.0;
  for (int i = 0; i < kernels.rule_count; ++i)
    if (std::string_view(kernels.rules[i].name) == "stream0") cohort.rule = i;
  std::vector<double> partials;
  for (auto& param : work.params) std::fill(param.begin(), param.end(), 0.0f);
  update(kernels, work.tensors, {&cohort, 1}, work.layout, threads, partials, {});
  for (std::size_t i = 0; i < work.params.size(); ++i) {
    const float expected = work.tensors[i].grad != nullptr ? 1.0f : 0.0f;
    const auto& param = work.params[i];
    CHECK_EQUAL(std::size_t(std::count(param.begin(), param.end(), expected)), param.size(), i,
                threads);
  }
}

}  // namespace

int main() {
  for (const Sizes& sizes : shapes)
    for (bool some_absent : {false, true}) {
      Work work(sizes, some_absent);
      for (std::size_t parts : {1, 2, 3, 5, 7, 13, 64}) boundaries(work, parts);
      for (int threads : {1, 2, 3, 5, 7, 13}) every_element_once(work, threads);
    }
  return report();
}
