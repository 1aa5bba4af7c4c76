// Sums in the canonical order, against a plain spelling of that order, on every ISA.
#include <limits>

#include "check.hpp"
#include "problem.hpp"
#include "sums.hpp"

using namespace fallline;
using namespace fallline::test;

namespace {

Tensor make_tensor(Buffer& x) {
  Tensor t{};
  t.param = x.data();
  t.grad = x.data();
  t.param_type = t.grad_type = x.type();
  t.size = x.size();
  return t;
}

Buffer finite_buffer(DType type, std::size_t n) {
  Buffer x(type, n, 24, n);
  for (std::size_t i = 0; i < n; ++i)
    write(type, draw(type, i), x.data() + i * item_size[int(type)]);
  return x;
}

// Of (factor · x)², squared in float64 after the product in the compute type.
std::vector<double> squares(const Buffer& x, double factor) {
  std::vector<double> terms;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double scaled =
        computes_in_f64(x.type()) ? x[i] * factor : double(float(x[i]) * float(factor));
    terms.push_back(scaled * scaled);
  }
  return terms;
}

void tile_sums(const KernelTable& kernels, DType type) {
  for (std::size_t n : {0, 1, 2, 31, 32, 33, 63, 64, 65, 1000, 1023, 1024}) {
    Buffer x = finite_buffer(type, n);
    Scratch scratch;
    bool finite = true;
    const double got = kernels.sum_squares(make_tensor(x), 0.3, 0, n, scratch, &finite);
    CHECK_EQUAL(got, plain_tile_sum(squares(x, 0.3)), kernels.isa, dtype_name[int(type)], n);
    CHECK(finite);
  }
}

void whole_sums(const KernelTable& kernels) {
  std::vector<Buffer> arrays;
  for (std::size_t n : {5u, 0u, 1024u, 50'001u, 3000u, 70'000u})
    arrays.push_back(finite_buffer(DType::f32, n));
  std::vector<Tensor> tensors;
  std::vector<double> tiles;
  for (Buffer& x : arrays) {
    tensors.push_back(make_tensor(x));
    const std::vector<double> terms = squares(x, 1.0);
    for (std::size_t i = 0; i < terms.size(); i += tile_size)
      tiles.push_back(
          plain_tile_sum({terms.begin() + std::ptrdiff_t(i),
                          terms.begin() + std::ptrdiff_t(std::min(i + tile_size, terms.size()))}));
  }
  const double expected = plain_tree_sum(tiles);
  Layout layout;
  layout.rebuild(tensors);
  CHECK_EQUAL(layout.tiles(), tiles.size());
  std::vector<double> partials;
  for (int threads : {1, 2, 3, 7}) {
    const SumSquares got = sum_squares(kernels, tensors, 1.0, layout, threads, partials);
    CHECK_EQUAL(got.total, expected, kernels.isa, threads);
    CHECK_EQUAL(got.first_nonfinite, no_tensor);
  }
}

void nonfinite(const KernelTable& kernels, DType type) {
  for (double bad : {double(INFINITY), -double(INFINITY), double(NAN)})
    for (std::size_t at : {0u, 31u, 32u, 1000u, 1023u}) {
      Buffer x = finite_buffer(type, 1024);
      write(type, bad, x.data() + at * item_size[int(type)]);
      Scratch scratch;
      bool finite = true;
      kernels.sum_squares(make_tensor(x), 1.0, 0, x.size(), scratch, &finite);
      CHECK(!finite, kernels.isa, dtype_name[int(type)], at, bad);
    }
}

// The square of a finite number may be infinite; the number is finite all the same.
void overflow(const KernelTable& kernels) {
  Buffer x = finite_buffer(DType::f64, 100);
  write(DType::f64, std::numeric_limits<double>::max(), x.data() + 40 * sizeof(double));
  Scratch scratch;
  bool finite = true;
  const double got = kernels.sum_squares(make_tensor(x), 1.0, 0, x.size(), scratch, &finite);
  CHECK(std::isinf(got), kernels.isa, got);
  CHECK(finite, kernels.isa);
}

void trees() {
  for (std::size_t n = 0; n < 70; ++n) {
    std::vector<double> values;
    for (std::size_t i = 0; i < n; ++i) values.push_back(draw(DType::f64, i));
    const double expected = plain_tree_sum(values);
    CHECK_EQUAL(tree_sum(values), expected, n);
  }
}

}  // namespace

int main() {
  trees();
  for (const KernelTable* kernels : usable_kernels()) {
    for (DType type : dtypes) {
      tile_sums(*kernels, type);
      nonfinite(*kernels, type);
    }
    whole_sums(*kernels);
    overflow(*kernels);
  }
  return report();
}
