// Networks with plain matrix products in BLAS's place: derivatives against differences, and the
// same bits at any number of threads, on every ISA, and with products that keep their own threads.
#include <cmath>
#include <cstring>
#include <string_view>

#include "check.hpp"
#include "fallline/dispatch.hpp"
#include "fallline/network.hpp"
#include "problem.hpp"

using namespace fallline;
using namespace fallline::test;

namespace {

template <class Integer, class T>
void plain_gemm(int order, int ta, int tb, Integer m, Integer n, Integer k, T alpha, const T* a,
                Integer row_a, const T* b, Integer row_b, T beta, T* c, Integer row_c) {
  if (order != 101) return;  // row-major
  for (Integer i = 0; i < m; ++i)
    for (Integer j = 0; j < n; ++j) {
      T sum = 0;
      for (Integer p = 0; p < k; ++p)
        sum += (ta == 112 ? a[p * row_a + i] : a[i * row_a + p]) *
               (tb == 112 ? b[j * row_b + p] : b[p * row_b + j]);
      T& out = c[i * row_c + j];
      out = alpha * sum + (beta == T(0) ? T(0) : beta * out);
    }
}

int threads_setting = 5;

template <class Integer>
Blas plain_blas(bool holds) {
  Blas blas;
  blas.sgemm = reinterpret_cast<void*>(&plain_gemm<Integer, float>);
  blas.dgemm = reinterpret_cast<void*>(&plain_gemm<Integer, double>);
  blas.wide = sizeof(Integer) == 8;
  if (holds) {
    blas.get_threads = [] { return threads_setting; };
    blas.set_threads = [](int n) { threads_setting = n; };
  }
  return blas;
}

int find(const char* const* names, int count, std::string_view name) {
  for (int i = 0; i < count; ++i)
    if (name == names[i]) return i;
  return -1;
}

// Samples, a point and a direction.
template <class T>
struct Problem {
  std::vector<T> x, y, weight, phi, v;
  std::vector<std::int64_t> batch;
  Samples samples;
  std::vector<std::size_t> widths;

  Problem(std::string_view head, std::size_t rows, std::vector<std::size_t> layers)
      : widths(std::move(layers)) {
    const DType type = sizeof(T) == 8 ? DType::f64 : DType::f32;
    const auto fill = [&](std::vector<T>& to, std::size_t n, std::uint64_t seed, double factor) {
      for (std::size_t i = 0; i < n; ++i) to.push_back(T(factor * draw(type, hash(seed) + i)));
    };
    fill(x, rows * widths.front(), 1, 1.0);
    fill(weight, rows, 2, 1.0);
    for (T& w : weight) w = std::abs(w);
    for (std::size_t i = 0; i < rows; ++i) {
      y.push_back(head == "linear" ? T(draw(type, 99 + i)) : T(hash(i) % widths.back()));
      if (head == "logistic") y.back() = T(i % 2);
      if (i % 3 != 0) batch.push_back(std::int64_t(hash(7 + i) % rows));
    }
    std::size_t params = 0;
    for (std::size_t k = 0; k + 1 < widths.size(); ++k) params += (widths[k] + 1) * widths[k + 1];
    fill(phi, params, 3, 0.3);
    fill(v, params, 4, 0.3);
    samples.values = x.data();
    samples.targets = y.data();
    samples.weight = weight.data();
    samples.rows = rows;
    samples.features = widths.front();
    samples.target_count = 1;
    samples.outputs = widths.back();
    samples.type = type;
  }

  struct Result {
    double loss;
    std::vector<T> product;
    bool operator==(const Result& other) const {
      return std::memcmp(&loss, &other.loss, sizeof loss) == 0 &&
             std::memcmp(product.data(), other.product.data(), product.size() * sizeof(T)) == 0;
    }
  };

  Result evaluate(const Network& network, const std::vector<T>& at, bool curve, bool whole,
                  int threads) const {
    Result result{0, std::vector<T>(at.size())};
    Request q;
    q.phi = at.data();
    q.direction = curve ? v.data() : nullptr;
    q.batch = whole ? nullptr : batch.data();
    q.size = whole ? samples.rows : batch.size();
    q.product = result.product.data();
    Workspace workspace;
    result.loss = network.evaluate(q, threads, workspace);
    return result;
  }
};

template <class T>
double dot(const std::vector<T>& a, const std::vector<T>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += double(a[i]) * double(b[i]);
  return sum;
}

void test_derivatives(const char* head, int activation) {
  const std::size_t outputs = std::string_view(head) == "softmax" ? 3 : 1;
  const Problem<double> p(head, 21, {4, 6, 5, outputs});
  const int index = find(active_objectives().heads, active_objectives().head_count, head);
  const Network network(
      NetworkPlan(p.samples, index, activation, plain_blas<std::int64_t>(true), p.widths),
      {true, 0.1, {{0, 24}}});
  constexpr double step = 1e-6;
  std::vector<double> ahead = p.phi, behind = p.phi;
  for (std::size_t i = 0; i < p.v.size(); ++i) {
    ahead[i] += step * p.v[i];
    behind[i] -= step * p.v[i];
  }
  for (bool whole : {true, false}) {
    const auto here = p.evaluate(network, p.phi, false, whole, 1);
    const auto a = p.evaluate(network, ahead, false, whole, 1);
    const auto b = p.evaluate(network, behind, false, whole, 1);
    const char* name = active_objectives().activations[activation];
    const double slope = (a.loss - b.loss) / (2 * step);
    CHECK(std::abs(dot(here.product, p.v) - slope) < 1e-6 * (1 + std::abs(slope)), head, name);
    const auto curve = p.evaluate(network, p.phi, true, whole, 1);
    for (std::size_t i = 0; i < p.v.size(); ++i) {
      const double expected = (a.product[i] - b.product[i]) / (2 * step);
      CHECK(std::abs(curve.product[i] - expected) < 1e-5 * (1 + std::abs(expected)), head, name, i);
    }
  }
}

// Large enough for several chunks, several tiles and several threads.
template <class T, class Integer>
void test_bits(bool holds) {
  const Problem<T> p("softmax", 700, {40, 70, 33, 5});
  const int index = find(active_objectives().heads, active_objectives().head_count, "softmax");
  const int gelu =
      find(active_objectives().activations, active_objectives().activation_count, "gelu");
  const Network network(NetworkPlan(p.samples, index, gelu, plain_blas<Integer>(holds), p.widths),
                        {});
  for (bool curve : {false, true})
    for (bool whole : {false, true}) {
      const auto expected = p.evaluate(network, p.phi, curve, whole, 1);
      CHECK(std::isfinite(expected.loss) && dot(expected.product, expected.product) > 0);
      for (const Isa& isa : built_isas()) {
        if (!activate(isa.name)) continue;
        for (int threads : {1, 2, 3, 7})
          CHECK(p.evaluate(network, p.phi, curve, whole, threads) == expected, isa.name, threads);
      }
    }
  CHECK_EQUAL(threads_setting, 5);
}

void test_one_thread_nests() {
  const Blas blas = plain_blas<std::int64_t>(true);
  {
    const OneThread outer(blas);
    CHECK_EQUAL(threads_setting, 1);
    {
      const OneThread inner(blas);
    }
    CHECK_EQUAL(threads_setting, 1);
  }
  CHECK_EQUAL(threads_setting, 5);
}

}  // namespace

int main() {
  for (const char* head : {"linear", "softmax", "logistic"})
    for (int i = 0; i < active_objectives().activation_count; ++i) test_derivatives(head, i);
  for (bool holds : {true, false}) {
    test_bits<double, std::int64_t>(holds);
    test_bits<float, std::int32_t>(holds);
  }
  test_one_thread_nests();
  return report();
}
