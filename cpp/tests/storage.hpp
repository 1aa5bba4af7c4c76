// The four storage types as IEEE 754 describes them, through exact float64 arithmetic: slow, and
// independent of the bit tricks in codec.hpp.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "fallline/types.hpp"

namespace fallline::test {

inline constexpr DType dtypes[dtype_count] = {DType::f64, DType::f32, DType::bf16, DType::f16};
inline constexpr const char* dtype_name[dtype_count] = {"f64", "f32", "bf16", "f16"};

struct Format {
  int digits;        // of the significand, with the implicit one
  int min_exponent;  // of the smallest normal number
};
inline constexpr Format formats[dtype_count] = {{53, -1022}, {24, -126}, {8, -126}, {11, -14}};

inline double decode16(Format f, std::uint16_t bits) {
  const int fraction_bits = f.digits - 1;
  const int magnitude = bits & 0x7fff;
  const int exponent = magnitude >> fraction_bits;
  const int fraction = magnitude & ((1 << fraction_bits) - 1);
  double x = std::ldexp(fraction + (exponent > 0 ? 1 << fraction_bits : 0),
                        std::max(exponent - 1, 0) + f.min_exponent - fraction_bits);
  if (exponent == 0x7fff >> fraction_bits) x = fraction != 0 ? NAN : INFINITY;
  return (bits & 0x8000) != 0 ? -x : x;
}

// To nearest, ties to even. Bit patterns of one sign are ordered as their values are, so that a
// significand that rounds up to the next power of two carries into the exponent by itself.
inline std::uint16_t encode16(Format f, double x) {
  const std::uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  const std::uint32_t infinity = 0x8000u - (1u << (f.digits - 1));
  if (std::isnan(x)) return std::uint16_t(sign | infinity | 1u << (f.digits - 2));
  if (x == 0) return sign;
  if (std::isinf(x)) return std::uint16_t(sign | infinity);
  const int exponent = std::max(std::ilogb(x), f.min_exponent);
  const double units = std::nearbyint(std::ldexp(std::fabs(x), f.digits - 1 - exponent));
  const double pattern = units + std::ldexp(exponent - f.min_exponent, f.digits - 1);
  return std::uint16_t(sign | (pattern < infinity ? std::uint32_t(pattern) : infinity));
}

inline double read(DType type, const void* from) {
  if (type == DType::f64) {
    double x;
    std::memcpy(&x, from, sizeof x);
    return x;
  }
  if (type == DType::f32) {
    float x;
    std::memcpy(&x, from, sizeof x);
    return x;
  }
  std::uint16_t bits;
  std::memcpy(&bits, from, sizeof bits);
  return decode16(formats[int(type)], bits);
}

inline void write(DType type, double x, void* to) {
  if (type == DType::f64) {
    std::memcpy(to, &x, sizeof x);
  } else if (type == DType::f32) {
    const float narrow = static_cast<float>(x);
    std::memcpy(to, &narrow, sizeof narrow);
  } else {
    const std::uint16_t bits = encode16(formats[int(type)], x);
    std::memcpy(to, &bits, sizeof bits);
  }
}

}  // namespace fallline::test
