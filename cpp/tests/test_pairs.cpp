// A quasi-Newton history's passes against plain loops, on every ISA and number of threads.
#include "fallline/pairs.hpp"

#include "check.hpp"
#include "fallline/dispatch.hpp"
#include "problem.hpp"
#include "sums.hpp"

using namespace fallline;
using namespace fallline::test;

namespace {

template <class T>
using Vector = std::vector<T>;

template <class T>
Vector<T> some(std::size_t n, std::size_t seed) {
  Vector<T> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = T(std::sin(double(i + 1) * double(seed + 1)));
  return x;
}

template <class T>
double plain_dot(const Vector<T>& a, const Vector<T>& b) {
  std::vector<double> tiles;
  for (std::size_t begin = 0; begin < a.size(); begin += tile_size) {
    std::vector<double> terms;
    for (std::size_t i = begin; i < std::min(begin + tile_size, a.size()); ++i)
      terms.push_back(double(a[i]) * double(b[i]));
    tiles.push_back(plain_tile_sum(terms));
  }
  return plain_tree_sum(tiles);
}

template <class T>
struct History {
  std::vector<Vector<T>> s, y;
  std::vector<const void*> s_rows, y_rows;
  Pairs pairs;

  History(std::size_t n, std::size_t count, DType type) {
    for (std::size_t i = 0; i < count; ++i) {
      s.push_back(some<T>(n, 2 * i));
      y.push_back(some<T>(n, 2 * i + 1));
    }
    for (std::size_t i = 0; i < count; ++i) {
      s_rows.push_back(s[i].data());
      y_rows.push_back(y[i].data());
    }
    pairs = {s_rows.data(), y_rows.data(), count, n, type};
  }
};

template <class T>
void products(std::size_t n, std::size_t count, DType type, double alpha, int threads) {
  const History<T> old(n, count, type);
  const Vector<T> g = some<T>(n, 50), before = some<T>(n, 51);
  Vector<T> s = some<T>(n, 52), y(n), x = some<T>(n, 53), new_s = s, new_y(n), new_x = x;
  for (std::size_t i = 0; i < n; ++i) {
    if (alpha != 1.0) new_s[i] = T(alpha) * new_s[i];
    new_x[i] += new_s[i];
    new_y[i] = g[i] - before[i];
  }
  std::vector<double> expected;
  const auto with = [&](const Vector<T>& other) {
    expected.push_back(plain_dot(other, new_y));
    expected.push_back(plain_dot(other, g));
  };
  for (std::size_t i = 0; i < count; ++i) {
    with(old.s[i]);
    with(old.y[i]);
  }
  with(new_s);
  with(new_y);
  expected.push_back(plain_dot(g, g));
  const NewPair added{s.data(), y.data(), g.data(), before.data(), x.data(), alpha};
  CHECK(pair_products(old.pairs, added, threads) == expected, n, count, threads);
  CHECK(s == new_s, n, count, threads);
  CHECK(y == new_y, n, count, threads);
  CHECK(x == new_x, n, count, threads);
}

template <class T>
void combination(std::size_t n, std::size_t count, DType type, int threads) {
  const History<T> old(n, count, type);
  const Vector<T> g = some<T>(n, 50), x = some<T>(n, 51);
  const std::vector<double> a = some<double>(count, 60), b = some<double>(count, 61);
  Vector<T> d(n), trial(n), expected(n), moved(n);
  for (std::size_t i = 0; i < n; ++i) {
    double sum = 0.7 * double(g[i]);
    for (std::size_t k = 0; k < count; ++k) {
      sum += a[k] * double(old.s[k][i]);
      sum += b[k] * double(old.y[k][i]);
    }
    expected[i] = T(sum);
    moved[i] = x[i] + T(0.3) * expected[i];
  }
  const Combination wanted{a.data(), b.data(), 0.7,      0.3,
                           g.data(), x.data(), d.data(), trial.data()};
  const Sums sums = pair_combination(old.pairs, wanted, threads);
  CHECK(d == expected, n, count, threads);
  CHECK(trial == moved, n, count, threads);
  CHECK_EQUAL(sums[0], plain_dot(d, g), n, count, threads);
  CHECK_EQUAL(sums[1], plain_dot(d, d), n, count, threads);
  CHECK_EQUAL(dot(type, n, d.data(), x.data(), threads), plain_dot(d, x), n, threads);
}

}  // namespace

int main() {
  for (const Isa& isa : built_isas()) {
    if (!activate(isa.name)) continue;
    for (std::size_t n : {1, 31, 33, 1023, 1024, 1025, 40'000})
      for (std::size_t count : {0, 1, 4})
        for (int threads : {1, 2, 3, 7}) {
          for (double alpha : {1.0, 0.3}) {
            products<double>(n, count, DType::f64, alpha, threads);
            products<float>(n, count, DType::f32, alpha, threads);
          }
          combination<double>(n, count, DType::f64, threads);
          combination<float>(n, count, DType::f32, threads);
        }
  }
  return report();
}
