// A tile of a quasi-Newton history. Included inside a per-ISA anonymous namespace.
// A sum's partials are written `stride` apart, so that each sum's lie together.

// The next tile of a vector, fetched while this one is in use: some twenty vectors are read side by
// side, and the hardware foresees none of their jumps.
template <class T>
__attribute__((always_inline)) inline void fetch_tile(const T* x) {
  fetch_lines(x, tile_size);
}

template <class T>
void scale_by(std::size_t n, T alpha, T* __restrict x) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) x[i] = alpha * x[i];
}

template <class T>
void add_to(std::size_t n, const T* __restrict s, T* __restrict x) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) x[i] += s[i];
}

template <class T>
void subtract(std::size_t n, const T* __restrict a, const T* __restrict b, T* __restrict out) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) out[i] = a[i] - b[i];
}

// A tile in float64: itself where it is that already.
inline const double* widened(std::size_t, const double* x, double*) { return x; }
inline const double* widened(std::size_t n, const float* __restrict x, double* __restrict out) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) out[i] = double(x[i]);
  return out;
}

template <class T>
void pair_products_as(const Pairs& pairs, const NewPair& added, std::size_t begin, std::size_t n,
                      double* sums, std::size_t stride) {
  T* s = static_cast<T*>(added.s) + begin;
  T* y = static_cast<T*>(added.y) + begin;
  const T* g = static_cast<const T*>(added.gradient) + begin;
  if (added.alpha != 1.0) scale_by(n, T(added.alpha), s);
  add_to(n, s, static_cast<T*>(added.x) + begin);
  subtract(n, g, static_cast<const T*>(added.before) + begin, y);
  // Float32 is widened once, not in each of a row's two sums (and y and g not for each row).
  alignas(64) double row[tile_size], wide_y[tile_size], wide_g[tile_size];
  const double* changes = widened(n, y, wide_y);
  const double* slopes = widened(n, g, wide_g);
  const bool more = begin + 2 * tile_size <= pairs.size;
  const auto with = [&](const T* x) __attribute__((always_inline)) {
    if (more) fetch_tile(x + tile_size);
    const double* wide = widened(n, x, row);
    sums[0] = dot(n, wide, changes);
    sums[stride] = dot(n, wide, slopes);
    sums += 2 * stride;
  };
  for (std::size_t i = 0; i < pairs.count; ++i) {
    with(static_cast<const T*>(pairs.s[i]) + begin);
    with(static_cast<const T*>(pairs.y[i]) + begin);
  }
  with(s);
  with(y);
  sums[0] = dot(n, slopes, slopes);
}

template <class T>
void add_pair(std::size_t n, double a, const T* __restrict s, double b, const T* __restrict y,
              double* __restrict sum) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) sum[i] = (sum[i] + a * double(s[i])) + b * double(y[i]);
}

template <class T>
void pair_combination_as(const Pairs& pairs, const Combination& c, std::size_t begin, std::size_t n,
                         double* sums, std::size_t stride) {
  const T* g = static_cast<const T*>(c.gradient) + begin;
  const T* x = static_cast<const T*>(c.x) + begin;
  T* d = static_cast<T*>(c.direction) + begin;
  T* trial = static_cast<T*>(c.trial) + begin;
  const bool more = begin + 2 * tile_size <= pairs.size;
  alignas(64) double sum[tile_size];
  const double weight = c.g_weight;
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) sum[i] = weight * double(g[i]);
  for (std::size_t i = 0; i < pairs.count; ++i) {
    const T* s = static_cast<const T*>(pairs.s[i]) + begin;
    const T* y = static_cast<const T*>(pairs.y[i]) + begin;
    if (more) {
      fetch_tile(s + tile_size);
      fetch_tile(y + tile_size);
    }
    add_pair(n, c.s_weights[i], s, c.y_weights[i], y, sum);
  }
  const T alpha = T(c.alpha);
  [&](T* __restrict to, T* __restrict moved) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
      const T step = T(sum[i]);
      to[i] = step;
      moved[i] = x[i] + alpha * step;
    }
  }(d, trial);
  sums[0] = dot(n, d, g);
  sums[stride] = dot(n, d, d);
}

void pair_products(const Pairs& pairs, const NewPair& added, std::size_t begin, std::size_t n,
                   double* sums, std::size_t stride) {
  const auto as = pairs.type == DType::f64 ? pair_products_as<double> : pair_products_as<float>;
  as(pairs, added, begin, n, sums, stride);
}

void pair_combination(const Pairs& pairs, const Combination& wanted, std::size_t begin,
                      std::size_t n, double* sums, std::size_t stride) {
  const auto as =
      pairs.type == DType::f64 ? pair_combination_as<double> : pair_combination_as<float>;
  as(pairs, wanted, begin, n, sums, stride);
}

template <class T>
double dot_at(std::size_t begin, std::size_t n, const void* a, const void* b) {
  return dot(n, static_cast<const T*>(a) + begin, static_cast<const T*>(b) + begin);
}

double any_dot(DType type, std::size_t begin, std::size_t n, const void* a, const void* b) {
  return (type == DType::f64 ? dot_at<double> : dot_at<float>)(begin, n, a, b);
}
