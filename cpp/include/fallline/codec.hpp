// Storage types to and from the compute type. The 16-bit conversions are integer and float
// arithmetic without branches: they vectorize at any ISA and round alike on all of them, which
// F16C or AVX512-BF16 instructions on some ISAs and emulation on others would have to be shown to.
// Included inside a per-ISA anonymous namespace.

template <class To, class From>
inline To bit_cast(From x) {
  static_assert(sizeof(To) == sizeof(From));
  return __builtin_bit_cast(To, x);
}

struct Bf16 {
  u16 bits;
};
struct F16 {
  u16 bits;
};

inline float load(float x) { return x; }
inline double load(double x) { return x; }
inline float load(Bf16 x) { return bit_cast<float>(u32(x.bits) << 16); }

inline float load(F16 x) {
  u32 magnitude = u32(x.bits & 0x7fffu) << 13;
  // 2^112 moves the exponent bias from 15 to 127, and normalizes subnormals on the way.
  float finite = bit_cast<float>(magnitude) * 0x1p112f;
  u32 special = magnitude | 0x7f800000u;  // exponent 31: infinity and NaN
  u32 bits = magnitude >= 0x0f800000u ? special : bit_cast<u32>(finite);
  return bit_cast<float>(bits | u32(x.bits & 0x8000u) << 16);
}

inline void store(float& to, float x) { to = x; }
inline void store(double& to, double x) { to = x; }

// Round to nearest even: half an ulp of the result, less one where the kept part is even.
inline void store(Bf16& to, float x) {
  u32 bits = bit_cast<u32>(x);
  u32 rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  to.bits = u16((bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16 | 0x40u) : rounded);
}

inline void store(F16& to, float x) {
  u32 bits = bit_cast<u32>(x);
  u32 magnitude = bits & 0x7fffffffu;
  // Below 2^-14 results are subnormal, multiples of 2^-24: adding 0.5 lets the FPU round there.
  u32 subnormal = bit_cast<u32>(bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  u32 normal = (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
  u32 half = magnitude < 0x38800000u ? subnormal : normal;
  half = magnitude >= 0x477ff000u ? 0x7c00u : half;  // 65520 and more round to infinity
  half = magnitude > 0x7f800000u ? 0x7e00u : half;
  to.bits = u16(half | (bits >> 16 & 0x8000u));
}

template <class From, class To>
void decode(std::size_t n, const void* from, void* to) {
  const From* __restrict x = static_cast<const From*>(from);
  To* __restrict y = static_cast<To*>(to);
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) y[i] = static_cast<To>(load(x[i]));
}

template <class From, class To>
void encode(std::size_t n, const void* from, void* to) {
  const From* __restrict x = static_cast<const From*>(from);
  To* __restrict y = static_cast<To*>(to);
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) store(y[i], x[i]);
}

using Converter = void (*)(std::size_t, const void*, void*);

// Indexed by DType.
template <class T>
inline constexpr Converter decoders[dtype_count] = {decode<double, T>, decode<float, T>,
                                                    decode<Bf16, T>, decode<F16, T>};
inline constexpr Converter encoders[dtype_count] = {
    encode<double, double>, encode<float, float>, encode<float, Bf16>, encode<float, F16>};
