// Sums in the canonical order: element i of a tile goes to lane i mod 32, lanes are added in a
// fixed tree. 32 float64 lanes are four AVX-512 registers: enough chains to hide the latency of an
// addition (four cycles), few enough to stay in SSE2's sixteen registers.
// Included inside a per-ISA anonymous namespace.

inline constexpr std::size_t lanes = 32;

inline double add_sum_lanes(double* lane) {
  for (std::size_t width = lanes / 2; width > 0; width /= 2)
    for (std::size_t l = 0; l < width; ++l) lane[l] += lane[l + width];
  return lane[0];
}

template <class T, class Term>
double lane_sum(std::size_t n, const T* __restrict x, Term term) {
  alignas(64) double lane[lanes] = {};
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
#pragma omp simd
    for (std::size_t l = 0; l < lanes; ++l) lane[l] += term(static_cast<double>(x[i + l]));
  }
  for (std::size_t l = 0; i + l < n; ++l) lane[l] += term(static_cast<double>(x[i + l]));
  return add_sum_lanes(lane);
}

// The same of products: Σ a_i b_i, each product in float64.
template <class T>
double dot(std::size_t n, const T* __restrict a, const T* __restrict b) {
  alignas(64) double lane[lanes] = {};
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
#pragma omp simd
    for (std::size_t l = 0; l < lanes; ++l) lane[l] += double(a[i + l]) * double(b[i + l]);
  }
  for (std::size_t l = 0; i + l < n; ++l) lane[l] += double(a[i + l]) * double(b[i + l]);
  return add_sum_lanes(lane);
}

template <class T>
double sum(std::size_t n, const T* x) {
  return lane_sum(n, x, [](double e) { return e; });
}

template <class T>
double sum_squares(std::size_t n, const T* x) {
  return lane_sum(n, x, [](double e) { return e * e; });
}

// Whether any value is infinite or NaN: its exponent is all ones.
template <class T>
bool any_nonfinite(std::size_t n, const T* __restrict x) {
  T worst = 0;
#pragma omp simd reduction(+ : worst)
  for (std::size_t i = 0; i < n; ++i) worst += x[i] - x[i];  // 0 where finite, else NaN
  return worst != T(0);
}
