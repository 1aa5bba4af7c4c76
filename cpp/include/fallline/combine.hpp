// What joins a batch's parts, and the penalty. Included inside a per-ISA anonymous namespace.

// f(value of T, value of Index): their types are what is wanted.
template <class F>
auto by_type(const Samples& s, F f) {
  if (s.type == DType::f64) return s.wide ? f(0.0, i64{}) : f(0.0, i32{});
  return s.wide ? f(0.0f, i64{}) : f(0.0f, i32{});
}

inline constexpr std::size_t most_partials = 64;
inline constexpr std::size_t combined_columns = 32;

template <class P, class T>
void combine_as(const void* partials, std::size_t count, std::size_t stride, std::size_t begin,
                std::size_t end, double scale, void* product) {
  const P* from = static_cast<const P*>(partials);
  if (count == 1) {
    T* out = static_cast<T*>(product);
#pragma omp simd
    for (std::size_t j = begin; j < end; ++j) out[j] = T(scale * double(from[j]));
    return;
  }
  double tree[most_partials][combined_columns];
  for (; begin < end; begin += combined_columns) {
    const std::size_t n = end - begin < combined_columns ? end - begin : combined_columns;
    for (std::size_t i = 0; i < count; ++i)
      for (std::size_t j = 0; j < n; ++j) tree[i][j] = double(from[i * stride + begin + j]);
    for (std::size_t left = count; left > 1; left = left / 2 + left % 2) {
      for (std::size_t i = 0; i < left / 2; ++i)
        for (std::size_t j = 0; j < n; ++j) tree[i][j] = tree[2 * i][j] + tree[2 * i + 1][j];
      if (left % 2)
        for (std::size_t j = 0; j < n; ++j) tree[left / 2][j] = tree[left - 1][j];
    }
    T* out = static_cast<T*>(product) + begin;
    for (std::size_t j = 0; j < n; ++j) out[j] = T(scale * tree[0][j]);
  }
}

void combine(DType partial, DType type, const void* partials, std::size_t count, std::size_t stride,
             std::size_t begin, std::size_t end, double scale, void* product) {
  const auto as = partial == DType::f32 ? combine_as<float, float>
                  : type == DType::f32  ? combine_as<double, float>
                                        : combine_as<double, double>;
  as(partials, count, stride, begin, end, scale, product);
}

template <class T>
double penalize_as(std::size_t begin, std::size_t end, double penalty, const void* phi,
                   const void* v, void* product) {
  const T* values = static_cast<const T*>(phi);
  double total = 0;
  for (std::size_t tile = begin; tile < end; tile += tile_size)
    total += sum_squares(end - tile < tile_size ? end - tile : tile_size, values + tile);
  if (product)
    add_row(end - begin, T(penalty), static_cast<const T*>(v) + begin,
            static_cast<T*>(product) + begin);
  return total;
}

double penalize(DType type, std::size_t begin, std::size_t end, double penalty, const void* phi,
                const void* v, void* product) {
  const auto as = type == DType::f64 ? penalize_as<double> : penalize_as<float>;
  return as(begin, end, penalty, phi, v, product);
}
