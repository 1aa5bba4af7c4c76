// Stochastic rounding to the 16-bit types: a number between two neighbours becomes the one farther
// from zero with a probability that is its distance from the other, in units of theirs (Gupta,
// Agrawal, Gopalakrishnan & Narayanan 2015), so that the mean is the number itself and updates
// below half a unit are not lost. Included inside a per-ISA anonymous namespace.

struct Block {
  u32 a, b, c, d;
};

inline u32 rotate(u32 x, int by) { return x << by | x >> (32 - by); }

inline void add_key(Block& x, const u32 (&key)[5], int turn) {
  x.a += key[turn % 5];
  x.b += key[(turn + 1) % 5];
  x.c += key[(turn + 2) % 5];
  x.d += key[(turn + 3) % 5] + u32(turn);
}

template <int to_b, int to_d>
inline void mix(u32& a, u32& b, u32& c, u32& d) {
  a += b, b = rotate(b, to_b) ^ a;
  c += d, d = rotate(d, to_d) ^ c;
}

inline void four_rounds(Block& x) {
  mix<10, 26>(x.a, x.b, x.c, x.d);
  mix<11, 21>(x.a, x.d, x.c, x.b);
  mix<13, 27>(x.a, x.b, x.c, x.d);
  mix<23, 5>(x.a, x.d, x.c, x.b);
}

inline void four_more_rounds(Block& x) {
  mix<6, 20>(x.a, x.b, x.c, x.d);
  mix<17, 11>(x.a, x.d, x.c, x.b);
  mix<25, 10>(x.a, x.b, x.c, x.d);
  mix<18, 20>(x.a, x.d, x.c, x.b);
}

// Threefry4x32-20 (Salmon, Moraes, Dror & Shaw 2011): 128 random bits, a function of counter and
// key alone. Sums, rotations and exclusive ors, which any ISA has for vectors of 32 bits: Philox,
// by products of 64, took 4 times the instructions.
inline Block threefry(Block x, const u32 (&key)[5]) {
  add_key(x, key, 0);
  four_rounds(x), add_key(x, key, 1);
  four_more_rounds(x), add_key(x, key, 2);
  four_rounds(x), add_key(x, key, 3);
  four_more_rounds(x), add_key(x, key, 4);
  four_rounds(x), add_key(x, key, 5);
  return x;
}

// 16 bits for each element of a tile. The counter is (block, row, tensor, step), the key the seed.
// Block j of a tile's 128 has the elements j, j + 128, …, j + 896: the k-th of each are neighbours,
// so that the loop stores whole vectors. The block's number wraps after 2^35 elements of a tensor.
inline void random_tile(const Tensor& t, const Cohort& cohort, std::size_t begin, std::size_t n,
                        u16* __restrict words) {
  constexpr std::size_t blocks = tile_size / 8;
  const u32 first = static_cast<u32>(begin / 8);
  const u32 row = t.row, tensor = t.index, step = cohort.step;
  const u32 low = static_cast<u32>(cohort.seed), high = static_cast<u32>(cohort.seed >> 32);
  const u32 key[5] = {low, high, 0, 0, 0x1bd11bdau ^ low ^ high};
  const u32 count = static_cast<u32>(n < blocks ? n : blocks);
#pragma omp simd
  for (u32 j = 0; j < count; ++j) {
    const Block x = threefry({first + j, row, tensor, step}, key);
    words[j] = static_cast<u16>(x.a);
    words[j + blocks] = static_cast<u16>(x.a >> 16);
    words[j + 2 * blocks] = static_cast<u16>(x.b);
    words[j + 3 * blocks] = static_cast<u16>(x.b >> 16);
    words[j + 4 * blocks] = static_cast<u16>(x.c);
    words[j + 5 * blocks] = static_cast<u16>(x.c >> 16);
    words[j + 6 * blocks] = static_cast<u16>(x.d);
    words[j + 7 * blocks] = static_cast<u16>(x.d >> 16);
  }
}

// Those of `n` elements from `begin` on, among what is written to `words`. A shard has the bits
// that its elements have in the whole tensor.
inline const u16* random_words(const Tensor& t, const Cohort& cohort, std::size_t begin,
                               std::size_t n, u16* words) {
  const std::size_t first = t.offset + begin, before = first % tile_size, end = before + n;
  for (std::size_t at = 0; at < end; at += tile_size) {
    const std::size_t count = end - at < tile_size ? end - at : tile_size;
    random_tile(t, cohort, first - before + at, count, words + at);
  }
  return words + before;
}

// Beyond the largest finite number to nearest: infinite exactly where that is. bfloat16 drops 16
// bits of a float: the random ones are added below the last that is kept.
inline void store(Bf16& to, float x, u16 random) {
  Bf16 nearest;
  store(nearest, x);
  const u32 bits = bit_cast<u32>(x);
  const u16 rounded = static_cast<u16>((bits + random) >> 16);
  to.bits = (bits & 0x7fffffffu) <= 0x7f7f0000u ? rounded : nearest.bits;
}

// float16 drops 13 bits where it is normal. Subnormals are multiples of 2^-24, here with 16 bits
// of fraction: what lies below those, 2^-40, is cut off.
inline void store(F16& to, float x, u16 random) {
  F16 nearest;
  store(nearest, x);
  const u32 bits = bit_cast<u32>(x);
  const u32 magnitude = bits & 0x7fffffffu;
  const bool is_subnormal = magnitude < 0x38800000u;
  const int units = static_cast<int>((is_subnormal ? bit_cast<float>(magnitude) : 0.0f) * 0x1p40f);
  const u32 subnormal = (u32(units) + random) >> 16;
  const u32 normal = (magnitude - 0x38000000u + (random >> 3)) >> 13;
  const u32 rounded = (is_subnormal ? subnormal : normal) | (bits >> 16 & 0x8000u);
  to.bits = magnitude <= 0x477fe000u ? static_cast<u16>(rounded) : nearest.bits;
}

template <class To>
void encode_randomly(std::size_t n, const void* from, const u16* __restrict random, void* to) {
  const float* __restrict x = static_cast<const float*>(from);
  To* __restrict y = static_cast<To*>(to);
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) store(y[i], x[i], random[i]);
}

// The parameter's tile, in its storage type, from what the rule computed. Not inlined: a second
// loop would take registers from the rule's.
[[gnu::noinline]] void store_parameter(const Tensor& t, const Cohort& cohort, std::size_t begin,
                                       std::size_t n, const void* computed, void* home,
                                       Scratch& scratch) {
  if (!cohort.stochastic) return encoders[int(t.param_type)](n, computed, home);
  const auto encode_to = t.param_type == DType::bf16 ? encode_randomly<Bf16> : encode_randomly<F16>;
  encode_to(n, computed, random_words(t, cohort, begin, n, scratch.random), home);
}
