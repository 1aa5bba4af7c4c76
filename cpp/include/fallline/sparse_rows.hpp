// A linear model over sparse rows (CSR). Included inside a per-ISA anonymous namespace.

template <class T, class Index>
struct SparseRows {
  const Index* indptr;
  const Index* columns;
  const T* values;

  explicit SparseRows(const Samples& s)
      : indptr(static_cast<const Index*>(s.indptr)),
        columns(static_cast<const Index*>(s.indices)),
        values(static_cast<const T*>(s.values)) {}

  // Four sums hide the latency of an addition; their order is part of the result.
  T dot(std::size_t row, const T* w) const {
    T lane[4] = {};
    Index i = indptr[row];
    const Index end = indptr[row + 1];
    for (; i + 4 <= end; i += 4)
      for (Index l = 0; l < 4; ++l) lane[l] += values[i + l] * w[columns[i + l]];
    for (Index l = 0; i + l < end; ++l) lane[l] += values[i + l] * w[columns[i + l]];
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
  }

  // The lines of a row that will be needed soon, of a long one the first few: the rest of it the
  // hardware foresees.
  void prefetch(std::size_t row) const {
    constexpr Index most = 8 * 64 / sizeof(T);
    const Index begin = indptr[row], end = indptr[row + 1];
    const Index last = end - begin < most ? end : begin + most;
    for (Index i = begin; i < last; i += 64 / sizeof(T)) __builtin_prefetch(values + i);
    for (Index i = begin; i < last; i += 64 / sizeof(Index)) __builtin_prefetch(columns + i);
    if (last > begin) {
      __builtin_prefetch(values + last - 1);
      __builtin_prefetch(columns + last - 1);
    }
  }

  // First entry of [from, to) whose column is not below this one. Without branches: whether a
  // column is below is a toss-up, and a wrong guess costs more than a step.
  Index lower_bound(Index from, Index to, std::size_t column) const {
    Index n = to - from;
    while (n > 1) {
      const Index half = n / 2;
      from += std::size_t(columns[from + half - 1]) < column ? half : 0;
      n -= half;
    }
    return n == 1 && std::size_t(columns[from]) < column ? from + 1 : from;
  }
};

template <class T, class Index>
double sparse_rows(const LinearBatch& b, std::size_t begin, std::size_t n, double* intercepts,
                   double* scratch) {
  const Samples& s = *b.samples;
  const Request& q = *b.request;
  const SparseRows<T, Index> rows(s);
  const auto outputs = [&](const void* parameters, std::size_t row, std::size_t r, double* z) {
    const T* w = static_cast<const T*>(parameters);
    for (std::size_t c = 0; c < s.outputs; ++c) {
      const T product = rows.dot(row, w + c * s.features);
      z[c * block_rows + r] = double(s.intercept ? product + w[s.weights() + c] : product);
    }
  };

  double loss = 0;
  for (std::size_t c = 0; c < s.outputs; ++c) intercepts[c] = 0;
  for (std::size_t i = begin; i < begin + n; i += block_rows) {
    const std::size_t size = begin + n - i < block_rows ? begin + n - i : block_rows;
    Block<T> block(s, scratch);
    for (std::size_t r = 0; r < size; ++r) {
      if (i + r + block_rows < begin + n) rows.prefetch(q.sample(i + r + block_rows));
      outputs(q.phi, q.sample(i + r), r, block.z);
      if (q.direction) outputs(q.direction, q.sample(i + r), r, block.u);
    }
    loss += losses_and_slopes(b, block, i, size);
    if (!q.product) continue;
    T* out = static_cast<T*>(b.slopes) + i * s.outputs;
    for (std::size_t r = 0; r < size; ++r)
      for (std::size_t c = 0; c < s.outputs; ++c) {
        const double slope = block.slope[c * block_rows + r];
        intercepts[c] += slope;
        out[r * s.outputs + c] = T(q.scale * slope);
      }
  }
  return loss;
}

// Every row's share in the batch's order, so that how the columns are cut changes nothing.
template <class T, class Index>
void sparse_columns(const LinearBatch& b, std::size_t first, std::size_t last, void* product) {
  const Samples& s = *b.samples;
  const SparseRows<T, Index> rows(s);
  const T* slopes = static_cast<const T*>(b.slopes);
  T* g = static_cast<T*>(product);
  for (std::size_t c = 0; c < s.outputs; ++c)
    for (std::size_t j = first; j < last; ++j) g[c * s.features + j] = T(0);

  for (std::size_t i = 0; i < b.request->size; ++i) {
    const std::size_t row = b.request->sample(i);
    if (i + block_rows < b.request->size) rows.prefetch(b.request->sample(i + block_rows));
    Index from = rows.indptr[row], to = rows.indptr[row + 1];
    if (first > 0) from = rows.lower_bound(from, to, first);
    if (last < s.features) to = rows.lower_bound(from, to, last);
    for (std::size_t c = 0; c < s.outputs; ++c) {
      const T slope = slopes[i * s.outputs + c];
      T* own = g + c * s.features;
      for (Index j = from; j < to; ++j) own[rows.columns[j]] += slope * rows.values[j];
    }
  }
}
