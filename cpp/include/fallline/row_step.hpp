// A step along the gradient of one sample, which is a multiple of its row: gradient, norm and
// update in one pass, where in passes of their own they take three times as long in L1. Included
// inside a per-ISA anonymous namespace.

// p′ = rule(p, slope·x), and Σ g² in the order of lane_sum.
template <class R, class T>
double row_loop(const typename R::template C<T> c, const RowGradient& row, const T* __restrict x,
                const T* __restrict from, T* __restrict to) {
  alignas(64) double lane[lanes] = {};
  const std::size_t n = row.features;
  const T slope = T(row.slope);
  const auto step = [&](T value, T p, T& out) __attribute__((always_inline)) {
    const T g = T(0) + slope * value;  // as it is added to a gradient of 0
    R::update(p, g, c);
    out = p;
    return double(g) * double(g);
  };
  std::size_t i = 0;
  for (std::size_t r = 1; r <= rows_in_flight; ++r) {
    const T* ahead = static_cast<const T*>(row.ahead[r - 1]);
    for (const std::size_t end = n / lanes * r / rows_in_flight * lanes; i < end; i += lanes) {
      fetch_lines(ahead + i, lanes);
#pragma omp simd
      for (std::size_t l = 0; l < lanes; ++l) lane[l] += step(x[i + l], from[i + l], to[i + l]);
    }
  }
  const T* ahead = static_cast<const T*>(row.ahead[rows_in_flight - 1]);
  fetch_lines(ahead + i, n - i);
  fetch_lines(ahead + n - 1, 1);  // a row that begins within a line ends within one more
  for (std::size_t l = 0; i + l < n; ++l) lane[l] += step(x[i + l], from[i + l], to[i + l]);
  if (row.intercept) {
    // To all lanes, and 0 to all but one: a lane alone could not be loaded with others so soon.
    const double square = step(T(1), from[n], to[n]);
#pragma omp simd
    for (std::size_t l = 0; l < lanes; ++l) lane[l] += l == n % lanes ? square : 0.0;
  }
  return lane_tree(lane);
}

template <class R, class T>
double step_along_as(const Cohort& cohort, const RowGradient& row, const void* from, void* to) {
  const auto* c =
      reinterpret_cast<const typename R::template C<T>*>(Compute<T>::coefficients(cohort));
  return row_loop<R, T>(*c, row, static_cast<const T*>(row.row), static_cast<const T*>(from),
                        static_cast<T*>(to));
}

using RowStep = double (*)(const Cohort&, const RowGradient&, const void*, void*);

template <class T>
inline constexpr auto row_steps = list_of<RowStep, rule_count>([]<int i>(Constant<i>) -> RowStep {
  using R = typename Registered<i>::type;
  if constexpr (R::slots + sums_of<R>() == 0)
    return step_along_as<R, T>;
  else
    return nullptr;
});

inline double step_along(const Cohort& cohort, const RowGradient& g, const void* from, void* to) {
  const auto& steps = g.type == DType::f64 ? row_steps<double> : row_steps<float>;
  return steps.at[cohort.rule](cohort, g, from, to);
}
