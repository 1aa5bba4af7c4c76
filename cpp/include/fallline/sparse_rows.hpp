// A linear model over sparse rows (CSR). Included inside a per-ISA anonymous namespace.

// Keeps a loop from being vectorized: numbers gathered one by one into registers, shuffled and
// taken apart again cost more than a plain loop.
template <class Index>
Index opaque(Index i) {
  asm volatile("" : "+r"(i));
  return i;
}

inline constexpr std::size_t rows_ahead = 2 * block_rows;

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
    T a = 0, b = 0, c = 0, d = 0;
    Index i = indptr[row];
    const Index end = indptr[row + 1];
    for (; i + 4 <= end; i = opaque(i + 4)) {
      a += values[i] * w[columns[i]];
      b += values[i + 1] * w[columns[i + 1]];
      c += values[i + 2] * w[columns[i + 2]];
      d += values[i + 3] * w[columns[i + 3]];
    }
    for (; i < end; i = opaque(i + 1)) a += values[i] * w[columns[i]];
    return (a + b) + (c + d);
  }

  // The first lines of a row that comes soon, as far as the second cache; of a longer one the
  // hardware foresees the rest. Always as many: a loop whose length varies is guessed wrong, and
  // costs what the lines save. (50 entries a row at random: 3.3 ns an entry, 6.6 without.)
  template <int lines>
  void prefetch(std::int64_t entry) const {
    const auto* value = reinterpret_cast<const unsigned char*>(values + entry);
    const auto* column = reinterpret_cast<const unsigned char*>(columns + entry);
    for (int line = 0; line < lines; ++line) {
      __builtin_prefetch(value + 64 * line, 0, 2);
      __builtin_prefetch(column + 64 * line, 0, 2);
    }
  }

  // While the batch's i-th row is worked on, one of `known`: asks for a later row, and, earlier
  // still, for where the next of them lies; else each waits for its place, and what is behind it
  // waits too. (Losses of 4,096 rows among 200,000, one thread: 0.53 ms, 0.87 without.)
  void fetch_ahead(const Request& q, std::size_t i, std::size_t known) const {
    asm volatile("");  // GCC drops calls of a function that does nothing but fetch
    if (i + 2 * rows_ahead < known) __builtin_prefetch(indptr + q.sample(i + 2 * rows_ahead));
    if (i + rows_ahead < known) prefetch<5>(indptr[q.sample(i + rows_ahead)]);
  }

  // Where the parts of the columns begin and end in a row.
  void cut(const LinearBatch& b, std::size_t row, std::int64_t* cuts) const {
    Index at = indptr[row];
    const Index end = indptr[row + 1];
    cuts[0] = at;
    for (std::size_t part = 1; part < b.parts; ++part)
      cuts[part] = at = lower_bound(at, end, b.columns[part]);
    cuts[b.parts] = end;
  }

  // First entry of [from, to) whose column is not below this one. Without branches: which way to go
  // is guessed wrong every other time.
  Index lower_bound(Index from, Index to, std::int64_t column) const {
    const auto below = [&](Index i) { return std::int64_t(columns[i]) < column; };
    Index count = to - from;
    for (; count > 1; count -= count / 2) from += below(from + count / 2 - 1) ? count / 2 : 0;
    return count == 1 && below(from) ? from + 1 : from;
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
    read_targets(b, block, i, size);
    for (std::size_t r = 0; r < size; ++r) {
      fetch_target<T>(b, i + r + rows_ahead);
      rows.fetch_ahead(q, i + r, q.size + q.ahead);
      outputs(q.phi, q.sample(i + r), r, block.z);
      if (q.direction) outputs(q.direction, q.sample(i + r), r, block.u);
    }
    loss += losses_and_slopes(b, block, size);
    if (!q.product) continue;
    T* out = static_cast<T*>(b.slopes) + i * s.outputs;
    for (std::size_t r = 0; r < size; ++r) {
      rows.cut(b, q.sample(i + r), b.cuts + (i + r) * (b.parts + 1));
      for (std::size_t c = 0; c < s.outputs; ++c) {
        const double slope = block.slope[c * block_rows + r];
        intercepts[c] += slope;
        out[r * s.outputs + c] = T(q.scale * slope);
      }
    }
  }
  return loss;
}

// Every row's share in the batch's order, so that how the columns are cut changes nothing.
template <class T, class Index>
void sparse_columns(const LinearBatch& b, std::size_t part, void* product) {
  const Samples& s = *b.samples;
  const SparseRows<T, Index> rows(s);
  const T* slopes = static_cast<const T*>(b.slopes);
  T* g = static_cast<T*>(product);
  for (std::size_t c = 0; c < s.outputs; ++c)
    for (std::int64_t j = b.columns[part]; j < b.columns[part + 1]; ++j)
      g[c * s.features + std::size_t(j)] = T(0);

  const std::size_t stride = b.parts + 1, size = b.request->size;
  const std::int64_t* cuts = b.cuts + part;
  for (std::size_t i = 0; i < size; ++i, cuts += stride) {
    if (i + rows_ahead < size) rows.template prefetch<4>(cuts[rows_ahead * stride]);
    for (std::size_t c = 0; c < s.outputs; ++c) {
      const T slope = slopes[i * s.outputs + c];
      T* own = g + c * s.features;
      for (std::int64_t j = cuts[0]; j < cuts[1]; ++j)
        own[rows.columns[j]] += slope * rows.values[j];
    }
  }
}
