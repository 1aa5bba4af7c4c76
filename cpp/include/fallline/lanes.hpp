// 64 bytes of numbers in as many registers as the ISA needs for them: the lanes in which products
// are summed, the same on every ISA. Included inside a per-ISA anonymous namespace.

#if defined(__AVX512F__)
inline constexpr int register_bytes = 64;
#elif defined(__AVX__)
inline constexpr int register_bytes = 32;
#else
inline constexpr int register_bytes = 16;
#endif

template <class T>
struct Lanes {
  typedef T Register __attribute__((vector_size(register_bytes)));
  static constexpr std::size_t width = register_bytes / sizeof(T);
  static constexpr std::size_t parts = 64 / register_bytes;
  static constexpr std::size_t count = 64 / sizeof(T);

  static Register load(const T* from) {
    Register x;
    __builtin_memcpy(&x, from, sizeof x);
    return x;
  }
  static void store(T* to, Register x) { __builtin_memcpy(to, &x, sizeof x); }
};

// Lanes in a fixed tree, l with l + half and so on, fours of them at a time.
template <class T>
T add_lanes(const T* lane) {
  typedef T Four __attribute__((vector_size(4 * sizeof(T))));
  constexpr std::size_t fours = Lanes<T>::count / 4;
  Four four[fours];
  __builtin_memcpy(four, lane, sizeof four);
#pragma GCC unroll 4
  for (std::size_t half = fours / 2; half > 0; half /= 2)
    for (std::size_t f = 0; f < half; ++f) four[f] += four[f + half];
  return (four[0][0] + four[0][2]) + (four[0][1] + four[0][3]);
}

// Rows that will be needed next, N of them, fetched as far as the second cache while others are
// worked on. A shuffled batch jumps from row to row, which the hardware cannot foresee: rows of
// 2 KiB at random, read by two threads, come at 20 GB/s without and at 26 with all of their lines
// fetched a block ahead.
template <int N, class T>
struct Ahead {
  const T* rows[N + 1];

  explicit Ahead(const T* const* next) {
    for (int r = 0; r < N; ++r) rows[r] = next[r];
  }
  void line(std::size_t i) const {
#pragma GCC unroll 8
    for (int r = 0; r < N; ++r) __builtin_prefetch(rows[r] + i, 0, 2);
  }
  // A row that begins within a line ends within one more.
  void last_line(std::size_t n) const { line(n - 1); }
  void row(std::size_t n) const {
    for (std::size_t i = 0; i < n; i += Lanes<T>::count) line(i);
    last_line(n);
  }
};

// out[c][r] = Σ x_r · w_c for R rows and C outputs, w apart by `stride`, out by block_rows. Element
// i goes to lane i mod count. Eight sums at a time hide the latency of an addition and leave
// registers for the operands: the more rows and outputs, the fewer parts of the lanes go together.
template <int R, int C, int N, class T>
void dots(std::size_t n, const T* const* x, const T* w, std::size_t stride, T* out,
          const T* const* next) {
  using L = Lanes<T>;
  using Register = typename L::Register;
  constexpr std::size_t fitting = R * C < 8 ? 8 / (R * C) : 1;
  constexpr std::size_t together = fitting < L::parts ? fitting : L::parts;
  const Ahead<N, T> ahead(next);
  alignas(64) T lane[R][C][L::count];
  const std::size_t whole = n - n % L::count;
  for (std::size_t part = 0; part < L::parts; part += together) {
    Register sum[R][C][together] = {};
    for (std::size_t i = 0; i < whole; i += L::count) {
      if (part == 0) ahead.line(i);
#pragma GCC unroll 4
      for (std::size_t p = 0; p < together; ++p) {
        const std::size_t j = i + (part + p) * L::width;
        Register own[C];
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) own[c] = L::load(w + std::size_t(c) * stride + j);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          const Register row = L::load(x[r] + j);
#pragma GCC unroll 8
          for (int c = 0; c < C; ++c) sum[r][c][p] += row * own[c];
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c)
#pragma GCC unroll 4
        for (std::size_t p = 0; p < together; ++p)
          L::store(lane[r][c] + (part + p) * L::width, sum[r][c][p]);
  }
  ahead.last_line(n);
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) {
      const T* own = w + std::size_t(c) * stride;
      for (std::size_t i = whole; i < n; ++i) lane[r][c][i - whole] += x[r][i] * own[i];
      out[std::size_t(c) * block_rows + std::size_t(r)] = add_lanes(lane[r][c]);
    }
}

// g_c += s[c][0] x_0, then s[c][1] x_1, … for a block's rows and C outputs: one load and store of
// g, which counts as 0 where it is fresh.
template <int R, int C, int N, class T>
void add_rows(std::size_t n, const T* const* rows, const T* slopes, bool fresh, T* g,
              std::size_t stride, const T* const* next) {
  using L = Lanes<T>;
  using Register = typename L::Register;
  const Ahead<N, T> ahead(next);
  // Copies, which the stores to g cannot change.
  const T* x[R];
  Register s[C][R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    x[r] = rows[r];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
      s[c][r] = Register{} + slopes[std::size_t(c) * block_rows + std::size_t(r)];
  }
  std::size_t i = 0;
  for (; i + L::count <= n; i += L::count) {
    ahead.line(i);
#pragma GCC unroll 4
    for (std::size_t j = i; j < i + L::count; j += L::width) {
      Register sum[C];
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c)
        sum[c] = fresh ? Register{} : L::load(g + std::size_t(c) * stride + j);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const Register row = L::load(x[r] + j);
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) sum[c] += s[c][r] * row;
      }
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) L::store(g + std::size_t(c) * stride + j, sum[c]);
    }
  }
  ahead.last_line(n);
  for (; i < n; ++i)
    for (int c = 0; c < C; ++c) {
      T sum = fresh ? T(0) : g[std::size_t(c) * stride + i];
      for (int r = 0; r < R; ++r)
        sum += slopes[std::size_t(c) * block_rows + std::size_t(r)] * x[r][i];
      g[std::size_t(c) * stride + i] = sum;
    }
}

template <class T>
void add_row(std::size_t n, T s, const T* __restrict x, T* __restrict g) {
#pragma omp simd
  for (std::size_t j = 0; j < n; ++j) g[j] += s * x[j];
}
