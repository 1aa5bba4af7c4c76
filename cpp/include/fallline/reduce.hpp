// Sums in the canonical order: element i of a tile goes to lane i mod 32, lanes are added in a
// fixed tree. 32 float64 lanes are four AVX-512 registers: enough chains to hide the latency of an
// addition (four cycles), few enough to stay in SSE2's sixteen registers.
// Included inside a per-ISA anonymous namespace.

inline constexpr std::size_t lanes = 32;

inline double lane_tree(double* lane) {
#pragma GCC unroll 8
  for (std::size_t width = lanes / 2; width > 0; width /= 2)
    for (std::size_t l = 0; l < width; ++l) lane[l] += lane[l + width];
  return lane[0];
}

// Σ term(x_i, …) of the elements of one array or of several.
template <class Term, class... T>
double lane_sum(std::size_t n, Fetch fetch, Term term, const T* __restrict... x) {
  alignas(64) double lane[lanes] = {};
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    if (i < fetch.until) (fetch_lines<3>(x + i + fetch.distance, lanes), ...);
#pragma omp simd
    for (std::size_t l = 0; l < lanes; ++l) lane[l] += term(x[i + l]...);
  }
  for (std::size_t l = 0; i + l < n; ++l) lane[l] += term(x[i + l]...);
  return lane_tree(lane);
}

template <class T>
double sum(std::size_t n, const T* x) {
  return lane_sum(n, Fetch{}, [](T e) { return static_cast<double>(e); }, x);
}

// Σ (factor·x)², the product in T and its square in float64.
template <class T>
double sum_squares(std::size_t n, const T* x, T factor = T(1), Fetch fetch = {}) {
  const auto square = [factor](T e) {
    const double scaled = static_cast<double>(e * factor);
    return scaled * scaled;
  };
  return lane_sum(n, fetch, square, x);
}

// Σ a_i b_i, each product in float64.
template <class T>
double dot(std::size_t n, const T* a, const T* b) {
  return lane_sum(n, Fetch{}, [](T e, T f) { return double(e) * double(f); }, a, b);
}

// Whether any value, scaled, is infinite or NaN.
template <class T>
bool any_nonfinite(std::size_t n, const T* __restrict x, T factor) {
  T worst = 0;
#pragma omp simd reduction(+ : worst)
  for (std::size_t i = 0; i < n; ++i) {
    const T scaled = x[i] * factor;
    worst += scaled - scaled;  // 0 where finite, else NaN
  }
  return worst != T(0);
}
