// A fixed piece of work for any rule: parameters, states, gradients and coefficients from an
// integer hash, the same on every machine.
#pragma once
#include <algorithm>
#include <string_view>
#include <vector>

#include "fallline/dispatch.hpp"
#include "fallline/step.hpp"
#include "storage.hpp"

namespace fallline::test {

// The finalizer of SplitMix64 (Steele, Lea & Flood 2014).
inline std::uint64_t hash(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

enum class Sign { any, positive };

// A number with all the type's digits, of magnitude 2^-8 to 2^2; exact in the type.
inline double draw(DType type, std::uint64_t seed, Sign sign = Sign::any) {
  const std::uint64_t h = hash(seed);
  const int digits = formats[int(type)].digits;
  const bool negative = sign == Sign::any && (h & 1) != 0;
  const double significand = std::ldexp(double(h >> (64 - digits) | 1), -digits);  // in (0, 1)
  return std::ldexp(negative ? -significand : significand, int(h >> 1 & 15) % 11 - 8);
}

// Every sixteenth element takes its values from here.
inline double draw_special(DType type, std::uint64_t seed) {
  const Format f = formats[int(type)];
  const double tiny = std::ldexp(1, f.min_exponent);
  const double subnormal = 3 * tiny / 16;
  const double least = std::ldexp(tiny, 1 - f.digits);
  const double values[] = {0.0,  -0.0,      1.0,    -1.0,     1e2,       -1e4, 60e3,
                           tiny, subnormal, -least, INFINITY, -INFINITY, NAN};
  return values[hash(seed) % std::size(values)];
}

// An array between guard bytes.
class Buffer {
 public:
  Buffer(DType type, std::size_t n, std::size_t guard, std::uint64_t seed, Sign sign = Sign::any)
      : type_(type), n_(n), guard_(guard), bytes_(n * item_size[int(type)] + 2 * guard, sentinel) {
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint64_t at = hash(seed) + i;
      write(type, hash(i) % 16 == 0 ? draw_special(type, at) : draw(type, at, sign),
            data() + offset(i));
    }
  }

  unsigned char* data() { return bytes_.data() + guard_; }
  const unsigned char* data() const { return bytes_.data() + guard_; }
  DType type() const { return type_; }
  std::size_t size() const { return n_; }
  double operator[](std::size_t i) const { return read(type_, data() + offset(i)); }

  bool guards_intact() const {
    const auto is_sentinel = [](unsigned char byte) { return byte == sentinel; };
    return std::all_of(bytes_.begin(), bytes_.begin() + std::ptrdiff_t(guard_), is_sentinel) &&
           std::all_of(bytes_.end() - std::ptrdiff_t(guard_), bytes_.end(), is_sentinel);
  }

  // The element's bits, any NaN as one NaN: IEEE 754 leaves its sign and payload open.
  std::uint64_t bits(std::size_t i) const {
    std::uint64_t word = 0;
    if (std::isnan((*this)[i])) return ~word;
    for (std::size_t b = 0; b < item_size[int(type_)]; ++b)  // little end first on any machine
      word |= std::uint64_t(data()[offset(i) + b]) << 8 * b;
    return word;
  }

 private:
  static constexpr unsigned char sentinel = 0xa5;
  std::size_t offset(std::size_t i) const { return i * item_size[int(type_)]; }

  DType type_;
  std::size_t n_;
  std::size_t guard_;
  std::vector<unsigned char> bytes_;
};

// FNV-1a over 64-bit words.
class Checksum {
 public:
  void add(std::uint64_t word) { value_ = (value_ ^ word) * 0x100000001b3u; }
  void add(const Buffer& buffer) {
    for (std::size_t i = 0; i < buffer.size(); ++i) add(buffer.bits(i));
  }
  void add(double x) {
    std::uint64_t word = ~std::uint64_t{0};
    if (!std::isnan(x)) std::memcpy(&word, &x, sizeof word);
    add(word);
  }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325u;
};

inline int coefficient_count(const RuleInfo& rule) {
  const std::string_view names = rule.coefficients;
  return names.empty() ? 0 : 1 + int(std::count(names.begin(), names.end(), ','));
}

inline std::uint64_t hash_name(std::string_view name) {
  std::uint64_t h = 0;
  for (char c : name) h = hash(h + static_cast<unsigned char>(c));
  return h;
}

// One rule's coefficients in step t: in [1/4, 3/4), or half of them 0 or 1, which switch branches.
inline Cohort make_cohort(const RuleInfo& rule, int index, int t, bool switches) {
  Cohort cohort{};
  cohort.rule = index;
  cohort.factor = t % 2 == 0 ? 1.0 : -0.75;
  for (int i = 0; i < coefficient_count(rule); ++i) {
    const std::uint64_t h = hash(hash_name(rule.name) + std::uint64_t(64 * t + i));
    const double x = 0.25 + std::ldexp(double(h >> 11), -54);
    cohort.f64[i] = switches && h % 2 == 0 ? double(h / 2 % 2) : x;
    cohort.f32[i] = static_cast<float>(cohort.f64[i]);
  }
  return cohort;
}

class Problem {
 public:
  // Guards of 24 bytes also put the arrays off every vector boundary.
  Problem(const RuleInfo& rule, int index, DType type, const std::vector<std::size_t>& sizes,
          std::size_t guard = 24)
      : rule_(rule), index_(index) {
    const DType state_type = computes_in_f64(type) ? DType::f64 : DType::f32;
    std::uint64_t seed = hash_name(rule.name);
    for (std::size_t n : sizes) {
      for (int odd = 0; odd < 2; ++odd) grads_[odd].emplace_back(type, n, guard, ++seed);
      written_.emplace_back(type, n, guard, ++seed);
      for (int s = 0; s < rule.slots; ++s)  // most are means of squares, whose root is taken
        written_.emplace_back(state_type, n, guard, ++seed, Sign::positive);
    }
  }

  // Switched coefficients may leave nothing but NaN, so they get a copy of their own.
  void step(const KernelTable& kernels, int threads) {
    Problem switched = *this;
    switched.advance(kernels, threads, true);
    results_.add(switched.checksum());
    advance(kernels, threads, false);
  }

  // Of everything written and returned so far.
  std::uint64_t checksum() const {
    Checksum sum = results_;
    for (const Buffer& buffer : written_) sum.add(buffer);
    return sum.value();
  }

  bool guards_intact() const {
    const auto intact = [](const Buffer& buffer) { return buffer.guards_intact(); };
    return std::all_of(written_.begin(), written_.end(), intact) &&
           std::all_of(grads_[0].begin(), grads_[0].end(), intact) &&
           std::all_of(grads_[1].begin(), grads_[1].end(), intact);
  }

  // Tells a computation from a sea of NaN.
  double finite_share() const {
    double finite = 0, all = 0;
    for (const Buffer& buffer : written_)
      for (std::size_t i = 0; i < buffer.size(); ++i, ++all) finite += std::isfinite(buffer[i]);
    return finite / all;
  }

 private:
  void advance(const KernelTable& kernels, int threads, bool switches) {
    const Cohort cohort = make_cohort(rule_, index_, t_, switches);
    std::vector<Tensor> tensors = bind(grads_[t_ % 2]);
    Layout layout;
    layout.rebuild(tensors);
    std::vector<double> totals(rule_.sums > 0 ? max_sums : 0);
    const SumSquares norm =
        sum_squares(kernels, tensors, cohort.factor, layout, threads, partials_);
    const std::size_t bad =
        update(kernels, tensors, {&cohort, 1}, layout, threads, partials_, totals);
    results_.add(norm.total);
    results_.add(std::uint64_t{norm.first_nonfinite});
    results_.add(std::uint64_t{bad});
    for (int s = 0; s < rule_.sums; ++s) results_.add(totals[std::size_t(s)]);
    ++t_;
  }

  std::vector<Tensor> bind(const std::vector<Buffer>& grads) {
    std::vector<Tensor> tensors;
    std::size_t next = 0;
    for (const Buffer& grad : grads) {
      Tensor t{};
      t.size = grad.size();
      t.grad = grad.data();
      t.grad_type = t.param_type = grad.type();
      t.param = written_[next++].data();
      for (int s = 0; s < rule_.slots; ++s) t.slots[s] = written_[next++].data();
      tensors.push_back(t);
    }
    return tensors;
  }

  RuleInfo rule_;
  int index_;
  int t_ = 0;
  std::vector<Buffer> grads_[2];  // of even and of odd steps
  std::vector<Buffer> written_;   // parameter and states, tensor by tensor
  std::vector<double> partials_;
  Checksum results_;
};

// Tables of the ISAs that can run here.
inline std::vector<const KernelTable*> usable_kernels() {
  std::vector<const KernelTable*> tables;
  for (const Isa& isa : built_isas())
    if (isa.supported()) tables.push_back(isa.kernels());
  return tables;
}

}  // namespace fallline::test
