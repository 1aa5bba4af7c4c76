// Conversions of the storage types, through the kernels of every ISA: `scale` by 1 takes a
// parameter to the compute type and back, `stream0` adds a gradient to a parameter.
#include "check.hpp"
#include "problem.hpp"

using namespace fallline;
using namespace fallline::test;

namespace {

int find_rule(const KernelTable& kernels, std::string_view name) {
  for (int i = 0; i < kernels.rule_count; ++i)
    if (name == kernels.rules[i].name) return i;
  CHECK(false, "no rule", name);
  return 0;
}

void run_rule(const KernelTable& kernels, const char* rule, Tensor tensor,
              bool stochastic = false) {
  Cohort cohort{};
  cohort.stochastic = stochastic;
  cohort.rule = find_rule(kernels, rule);
  cohort.factor = 1.0;
  cohort.f64[0] = cohort.f32[0] = 1;
  Layout layout;
  layout.rebuild({&tensor, 1});
  std::vector<double> partials;
  update(kernels, {&tensor, 1}, {&cohort, 1}, layout, 1, partials, {});
}

Tensor make_tensor(DType param_type, void* param, DType grad_type, const void* grad,
                   std::size_t size) {
  Tensor t{};
  t.param = param;
  t.param_type = param_type;
  t.grad = grad;
  t.grad_type = grad_type;
  t.size = size;
  return t;
}

std::vector<std::uint16_t> all_patterns() {
  std::vector<std::uint16_t> bits(1 << 16);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = std::uint16_t(i);
  return bits;
}

// A NaN comes back as some quiet NaN of its sign or another, anything else as it was.
void round_trip(const KernelTable& kernels, DType type) {
  std::vector<std::uint16_t> bits = all_patterns();
  const Format f = formats[int(type)];
  run_rule(kernels, "scale", make_tensor(type, bits.data(), type, bits.data(), bits.size()));
  for (std::size_t i = 0; i < bits.size(); ++i)
    if (std::isnan(decode16(f, std::uint16_t(i))))
      CHECK(std::isnan(decode16(f, bits[i])), kernels.isa, dtype_name[int(type)], i, bits[i]);
    else
      CHECK_EQUAL(bits[i], i, kernels.isa, dtype_name[int(type)]);
}

template <class T>
void decoding(const KernelTable& kernels, DType type, DType to) {
  const std::vector<std::uint16_t> bits = all_patterns();
  std::vector<T> got(bits.size());
  run_rule(kernels, "stream0", make_tensor(to, got.data(), type, bits.data(), bits.size()));
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const double expected = decode16(formats[int(type)], bits[i]);
    CHECK(double(got[i]) == expected || (std::isnan(expected) && std::isnan(got[i])), kernels.isa,
          dtype_name[int(type)], i, got[i], expected);
  }
}

// float32 values at, and next to, every value of the type and every midpoint between two.
std::vector<float> around_every_value(Format f) {
  std::vector<float> values;
  const int infinity = 0x8000 - (1 << (f.digits - 1));
  for (int i = 0; i < infinity; ++i) {
    const double here = decode16(f, std::uint16_t(i));
    // Behind the largest value the next would be a power of two; its midpoint is where infinity
    // begins.
    const double above = i + 1 < infinity ? decode16(f, std::uint16_t(i + 1))
                                          : 2 * here - decode16(f, std::uint16_t(i - 1));
    for (float x : {float(here), float(here + (above - here) / 2)})
      for (float near : {std::nextafterf(x, 0.0f), x, std::nextafterf(x, INFINITY)}) {
        values.push_back(near);
        values.push_back(-near);
      }
  }
  for (float x : {INFINITY, NAN, 1e38f, 3.4028235e38f, 1e-45f, 65519.996f, 65520.0f, 2.9802322e-8f})
    for (float signed_x : {x, -x}) values.push_back(signed_x);
  return values;
}

void encoding(const KernelTable& kernels, DType type) {
  const Format f = formats[int(type)];
  const std::vector<float> values = around_every_value(f);
  // Zero plus a value is that value, but for −0.
  std::vector<std::uint16_t> got(values.size());
  run_rule(kernels, "stream0",
           make_tensor(type, got.data(), DType::f32, values.data(), values.size()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t expected = encode16(f, values[i] == 0 ? 0.0 : double(values[i]));
    if (std::isnan(values[i]))
      CHECK(std::isnan(decode16(f, got[i])), kernels.isa, dtype_name[int(type)], got[i]);
    else
      CHECK_EQUAL(got[i], expected, kernels.isa, dtype_name[int(type)], values[i]);
  }
}

// One of the two neighbours, on every ISA the same; beyond the largest number as to nearest.
void stochastic_encoding(const KernelTable& kernels, DType type,
                         std::vector<std::uint16_t>& first) {
  const Format f = formats[int(type)];
  const std::vector<float> values = around_every_value(f);
  const int infinity = 0x8000 - (1 << (f.digits - 1));
  std::vector<std::uint16_t> got(values.size());
  run_rule(kernels, "stream0",
           make_tensor(type, got.data(), DType::f32, values.data(), values.size()), true);
  if (first.empty()) first = got;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) {
      CHECK(std::isnan(decode16(f, got[i])), kernels.isa, dtype_name[int(type)], got[i]);
      continue;
    }
    CHECK_EQUAL(got[i], first[i], kernels.isa, dtype_name[int(type)], values[i]);
    const double size = std::fabs(double(values[i]));
    const int magnitude = got[i] & 0x7fff;
    if (size > decode16(f, std::uint16_t(infinity - 1)))
      CHECK_EQUAL(magnitude, encode16(f, size), kernels.isa, dtype_name[int(type)], values[i]);
    else
      CHECK((decode16(f, std::uint16_t(magnitude)) <= size ||
             decode16(f, std::uint16_t(magnitude - 1)) < size) &&
                (magnitude + 1 == infinity || decode16(f, std::uint16_t(magnitude + 1)) > size),
            kernels.isa, dtype_name[int(type)], values[i], magnitude);
  }
}

// What is updated is the master copy; the parameter, whatever it was, gets it rounded.
void master(const KernelTable& kernels, DType type) {
  const std::vector<float> values = around_every_value(formats[int(type)]);
  std::vector<std::uint16_t> got(values.size(), 0x1234), expected(values.size());
  std::vector<float> copies(values.size());
  run_rule(kernels, "stream0",
           make_tensor(type, expected.data(), DType::f32, values.data(), values.size()));
  Tensor tensor = make_tensor(type, got.data(), DType::f32, values.data(), values.size());
  tensor.master = copies.data();
  run_rule(kernels, "stream0", tensor);
  for (std::size_t i = 0; i < values.size(); ++i) {
    CHECK(copies[i] == values[i] || std::isnan(values[i]), kernels.isa, copies[i], values[i]);
    CHECK_EQUAL(got[i], expected[i], kernels.isa, dtype_name[int(type)], values[i]);
  }
}

}  // namespace

int main() {
  std::vector<std::uint16_t> first[dtype_count];
  for (const KernelTable* kernels : usable_kernels())
    for (DType type : {DType::bf16, DType::f16}) {
      round_trip(*kernels, type);
      decoding<float>(*kernels, type, DType::f32);
      decoding<double>(*kernels, type, DType::f64);
      encoding(*kernels, type);
      stochastic_encoding(*kernels, type, first[int(type)]);
      master(*kernels, type);
    }
  return report();
}
