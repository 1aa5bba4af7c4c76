// exp, log, log1p, sin and cos against the C library's long double, and their special values.
#include <cmath>
#include <limits>

#include "check.hpp"
#include "problem.hpp"

namespace fallline::kernel_math {
namespace {

using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

#include "fallline/sequence.hpp"
#include "fallline/ops.hpp"
#include "fallline/codec.hpp"
#include "fallline/math.hpp"

}  // namespace
}  // namespace fallline::kernel_math

using namespace fallline::test;
namespace math = fallline::kernel_math;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// Distance from the true value, in units of its last place.
double ulps(double got, long double truth) {
  const double rounded = double(truth);
  if (got == rounded) return 0.0;
  const double unit =
      std::ldexp(1.0, std::max(std::ilogb(rounded), std::numeric_limits<double>::min_exponent - 1) -
                          (std::numeric_limits<double>::digits - 1));
  return double(std::fabs((long double)(got)-truth) / unit);
}

double uniform(std::uint64_t seed) { return std::ldexp(double(hash(seed) >> 11), -53); }

template <class Got, class Truth, class Draw>
void within(double limit, const char* name, const Got& got, const Truth& truth, const Draw& draw) {
  double worst = 0.0, where = 0.0;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    const double x = draw(i);
    const double off = ulps(got(x), truth((long double)(x)));
    if (!(off <= worst)) worst = off, where = x;
  }
  // Where long double is double, the truth itself may be off.
  constexpr double doubt = std::numeric_limits<long double>::digits > 53 ? 0.0 : 1.0;
  CHECK(worst <= limit + doubt, name, worst, "ulps at", where);
}

using L = long double;
using std::uint64_t;

void accuracy() {
  const auto exp = [](double x) { return math::exp(x); };
  const auto true_exp = [](L x) { return std::exp(x); };
  within(1.0, "exp", exp, true_exp, [](uint64_t i) { return 1455.0 * uniform(i) - 745.2; });
  within(1.0, "exp", exp, true_exp, [](uint64_t i) { return 2.0 * uniform(i) - 1.0; });
  within(1.0, "exp", exp, true_exp, [](uint64_t i) { return 1e-9 * uniform(i); });
  const auto power = [](uint64_t i) { return std::exp2(2040.0 * uniform(i) - 1020.0); };
  const auto log = [](double x) { return math::log(x); };
  const auto true_log = [](L x) { return std::log(x); };
  within(1.0, "log", log, true_log, power);
  within(1.0, "log", log, true_log, [](uint64_t i) { return 0.5 + 1.5 * uniform(i); });
  const auto log1p = [](double x) { return math::log1p(x); };
  const auto true_log1p = [](L x) { return std::log1p(x); };
  within(1.0, "log1p", log1p, true_log1p, power);
  within(1.0, "log1p", log1p, true_log1p, [](uint64_t i) { return uniform(i); });
  within(1.0, "log1p", log1p, true_log1p, [](uint64_t i) { return 1e-12 * uniform(i); });
  for (double range : {1.0, 10.0, 1e3, 0x1p20}) {
    const auto draw = [&](uint64_t i) { return range * (2.0 * uniform(i) - 1.0); };
    within(
        3.0, "sin", [](double x) { return math::sin_cos(x).sin; }, [](L x) { return std::sin(x); },
        draw);
    within(
        3.0, "cos", [](double x) { return math::sin_cos(x).cos; }, [](L x) { return std::cos(x); },
        draw);
  }
}

void special_values() {
  CHECK_EQUAL(math::exp(0.0), 1.0);
  CHECK_EQUAL(math::exp(-0.0), 1.0);
  CHECK_EQUAL(math::exp(infinity), infinity);
  CHECK_EQUAL(math::exp(-infinity), 0.0);
  CHECK_EQUAL(math::exp(709.9), infinity);
  CHECK_EQUAL(math::exp(-745.2), 0.0);
  CHECK_EQUAL(math::exp(-745.1), std::numeric_limits<double>::denorm_min());
  CHECK(math::exp(709.78) < infinity);
  CHECK_EQUAL(math::exp(-1e300), 0.0);
  CHECK_EQUAL(math::exp(1e300), infinity);
  CHECK(std::isnan(math::exp(nan)));

  CHECK_EQUAL(math::log(1.0), 0.0);
  CHECK_EQUAL(math::log(infinity), infinity);
  CHECK(std::isnan(math::log(nan)));
  CHECK_EQUAL(math::log1p(0.0), 0.0);
  CHECK_EQUAL(math::log1p(infinity), infinity);
  CHECK(std::isnan(math::log1p(nan)));
  CHECK_EQUAL(math::log1p(1e-300), 1e-300);

  CHECK_EQUAL(math::sin_cos(0.0).sin, 0.0);
  CHECK_EQUAL(math::sin_cos(0.0).cos, 1.0);
  for (double x : {infinity, -infinity, nan}) {
    CHECK(std::isnan(math::sin_cos(x).sin), x);
    CHECK(std::isnan(math::sin_cos(x).cos), x);
  }
  CHECK_EQUAL(math::sin_cos(1e300).sin, 0.0);  // beyond its range it counts as 0
  CHECK_EQUAL(math::sin_cos(1e300).cos, 1.0);
}

}  // namespace

int main() {
  accuracy();
  special_values();
  return report();
}
