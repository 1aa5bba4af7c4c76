// A linear model over rows of X: outputs, their losses and slopes, and the slopes pulled back.
// Included inside a per-ISA anonymous namespace.

// Outputs at a time: as many as leave registers for the operands of eight rows.
inline constexpr int dot_outputs = register_bytes == 64 ? 2 : 1;
// Rows side by side: eight streams from memory serve short rows better than four, whose lanes are
// summed in fewer goes, and longer ones worse (Zen 3: 256 bytes a row 1.16 and 2 KiB 1.06 times as
// fast, 8 KiB 0.94). Where eight rows' lanes are in registers at once, it is always eight.
inline constexpr int long_rows = register_bytes == 64 ? int(block_rows) : 4;
inline constexpr std::size_t short_row = 4096;  // bytes

// A block's numbers, by output (or target), a row each in the last index.
template <class T>
struct Block {
  double *z, *u, *slope, *y, *loss, *weight;
  T* products;  // of the compute type: z while it is formed, then the slopes

  Block(const Samples& s, double* memory) {
    const std::size_t own = s.outputs * block_rows;
    z = memory;
    u = z + own;
    slope = u + own;
    products = reinterpret_cast<T*>(slope + own);
    y = slope + 2 * own;
    loss = y + s.target_count * block_rows;
    weight = loss + block_rows;
  }
};

// Targets and weights of a block's n rows.
template <class T>
void read_targets(const LinearBatch& b, Block<T>& block, std::size_t begin, std::size_t n) {
  const Samples& s = *b.samples;
  const T* targets = static_cast<const T*>(s.targets);
  const T* weight = static_cast<const T*>(s.weight);
  for (std::size_t r = 0; r < n; ++r) {
    const std::size_t sample = b.request->sample(begin + r);
    for (std::size_t t = 0; t < s.target_count; ++t)
      block.y[t * block_rows + r] = double(targets[sample * s.target_count + t]);
    if (weight) block.weight[r] = double(weight[sample]);
  }
  for (std::size_t r = n; r < block_rows; ++r)
    for (std::size_t t = 0; t < s.target_count; ++t) block.y[t * block_rows + r] = 0.0;
}

// Asks for the target and weight of a sample that comes some blocks later, if any does.
template <class T>
void fetch_target(const LinearBatch& b, std::size_t later) {
  const Samples& s = *b.samples;
  if (later >= b.request->size + b.request->ahead) return;
  const std::size_t sample = b.request->sample(later);
  __builtin_prefetch(static_cast<const T*>(s.targets) + sample * s.target_count);
  if (s.weight) __builtin_prefetch(static_cast<const T*>(s.weight) + sample);
}

// Losses and slopes of a block's rows from its outputs: Σ w·ℓ over the first n.
template <class T>
double losses_and_slopes(const LinearBatch& b, Block<T>& block, std::size_t n) {
  const Samples& s = *b.samples;
  const Request& q = *b.request;
  for (std::size_t c = 0; c < s.outputs; ++c)  // what is left of an earlier block
    for (std::size_t r = n; r < block_rows; ++r) block.z[c * block_rows + r] = 0.0;

  const Head& head = heads.at[b.head];
  double total = 0;
  if (q.direction) {
    for (std::size_t c = 0; c < s.outputs; ++c)
      for (std::size_t r = n; r < block_rows; ++r) block.u[c * block_rows + r] = 0.0;
    head.curve(s.outputs, block.z, block.y, block.u);
    block.slope = block.u;
  } else {
    head.value(s.outputs, block.z, block.y, block.loss, block.slope);
  }
  for (std::size_t r = 0; r < n; ++r) {
    const double w = s.weight ? block.weight[r] : 1.0;
    if (!q.direction) total += w * block.loss[r];
    if (s.weight)
      for (std::size_t c = 0; c < s.outputs; ++c) block.slope[c * block_rows + r] *= w;
  }
  return total;
}

// f(C, N, c): outputs c … c + C, the first of them on the way to which N rows are fetched ahead.
template <int N, class F>
void by_outputs(std::size_t outputs, const F& f) {
  std::size_t c = 0;
  const auto next = [&]<int C>(Constant<C>) {
    if (c == 0)
      f(Constant<C>{}, Constant<N>{}, c);
    else
      f(Constant<C>{}, Constant<0>{}, c);
    c += C;
  };
  while (c + dot_outputs <= outputs) next(Constant<dot_outputs>{});
  while (c < outputs) next(Constant<1>{});
}

// f(R, N, r, k): rows r … r + R of n, and on the way N rows to fetch from the k-th on. A full block
// passes `most` at a time and fetches `ahead` in all; of fewer rows each fetches one, if any.
template <int most, int ahead, class F>
void by_rows(std::size_t n, const F& f) {
  std::size_t r = 0, k = 0;
  const auto next = [&]<int R, int N>(Constant<R>, Constant<N>) {
    f(Constant<R>{}, Constant<N>{}, r, k);
    r += R;
    k += N;
  };
  constexpr int full = int(block_rows), some = most < 4 ? most : 4;
  while (n == block_rows && r < n) next(Constant<most>{}, Constant<most * ahead / full>{});
  while (r + some <= n) next(Constant<some>{}, Constant<ahead ? some : 0>{});
  while (r < n) next(Constant<1>{}, Constant<ahead ? 1 : 0>{});
}

// Of a full block's successor as many rows are fetched while its outputs are formed, the others
// while its slopes are pulled back: what waits for rows of its own is held up by rows that are
// asked for. (2 KiB a row: on Zen 3 170 ns with two, where four and two more beside the losses took
// 188; on a Xeon, of which each thread sums rows at random at 0.69 of the speed of reading them in
// order, both products at 0.59 with two and at 0.65 with four.)
inline constexpr int ahead_of_outputs = register_bytes == 64 ? 4 : 2;
inline constexpr int ahead_of_slopes = int(block_rows) - ahead_of_outputs;

// Outputs of n rows for one vector of parameters.
template <class T, int ahead>
void dense_outputs(const Samples& s, const void* parameters, const T* const* x, std::size_t n,
                   T* products, double* z, const T* const* next) {
  const T* w = static_cast<const T*>(parameters);
  const auto multiply = [&]<int R, int N>(Constant<R>, Constant<N>, auto r, auto k) {
    by_outputs<N>(s.outputs, [&]<int C, int F>(Constant<C>, Constant<F>, std::size_t c) {
      dots<R, C, F>(s.features, x + r, w + c * s.features, s.features,
                    products + c * block_rows + r, next + k);
    });
  };
  if (s.features * sizeof(T) <= short_row)
    by_rows<int(block_rows), ahead>(n, multiply);
  else
    by_rows<long_rows, ahead>(n, multiply);
  for (std::size_t c = 0; c < s.outputs; ++c)
    for (std::size_t r = 0; r < n; ++r) {
      const T product = products[c * block_rows + r];
      z[c * block_rows + r] = double(s.intercept ? product + w[s.weights() + c] : product);
    }
}

// Adds slope × row to the partial product, output by output and row by row; to 0 where `fresh`.
template <class T, int ahead>
void dense_pull_back(const Samples& s, const T* const* x, std::size_t n, const T* slopes,
                     bool fresh, T* partial, const T* const* next) {
  by_rows<int(block_rows), ahead>(n, [&]<int R, int N>(Constant<R>, Constant<N>, auto r, auto k) {
    by_outputs<N>(s.outputs, [&]<int C, int F>(Constant<C>, Constant<F>, std::size_t c) {
      add_rows<R, C, F>(s.features, x + r, slopes + c * block_rows + r, fresh && r == 0,
                        partial + c * s.features, s.features, next + k);
    });
  });
  for (std::size_t c = 0; s.intercept && c < s.outputs; ++c) {
    T sum = fresh ? T(0) : partial[s.weights() + c];
    for (std::size_t r = 0; r < n; ++r) sum += slopes[c * block_rows + r];
    partial[s.weights() + c] = sum;
  }
}

// Rows [begin, end) of the batch, and their product where one is wanted: Σ w·ℓ.
template <class T>
double dense_chunk(const LinearBatch& b, std::size_t begin, std::size_t end, T* partial,
                   double* memory) {
  const Samples& s = *b.samples;
  const Request& q = *b.request;
  const T* values = static_cast<const T*>(s.values);
  const std::size_t known = q.size + q.ahead;
  const auto row = [&](std::size_t i) { return values + q.sample(i) * s.features; };
  const T *x[block_rows], *next[block_rows];
  double loss = 0;
  for (std::size_t i = begin; i < end; i += block_rows) {
    const std::size_t n = end - i < block_rows ? end - i : block_rows;
    Block<T> block(s, memory);
    // Before rows are asked for: whatever misses the first cache waits behind them.
    read_targets(b, block, i, n);
    for (std::size_t r = 0; r < n; ++r) {
      const std::size_t later = i + r + block_rows;
      x[r] = row(i + r);
      next[r] = later < known ? row(later) : x[r];
      fetch_target<T>(b, later + block_rows);
    }
    dense_outputs<T, ahead_of_outputs>(s, q.phi, x, n, block.products, block.z, next);
    if (q.direction) dense_outputs<T, 0>(s, q.direction, x, n, block.products, block.u, next);
    for (std::size_t r = ahead_of_outputs; n == block_rows && !q.product && r < n; ++r)
      Ahead<1, T>(next + r).row(s.features);
    loss += losses_and_slopes(b, block, n);
    if (!q.product) continue;
    for (std::size_t k = 0; k < s.outputs * block_rows; ++k) block.products[k] = T(block.slope[k]);
    const bool fresh = i == begin;
    if (n == block_rows)
      dense_pull_back<T, ahead_of_slopes>(s, x, n, block.products, fresh, partial,
                                          next + ahead_of_outputs);
    else
      dense_pull_back<T, 0>(s, x, n, block.products, fresh, partial, next);
  }
  return loss;
}

// What is still missing of a row two steps ahead comes in time (of one: 350 ns a step of 512
// features, of two: 215), and its target before all of it, which would wait behind the row's lines.
inline constexpr std::size_t row_ahead = 2;

// A batch of one row under one output: the gradient as a multiple of the row.
template <class T>
void dense_row(const LinearBatch& b, RowGradient& g) {
  const Samples& s = *b.samples;
  const Request& q = *b.request;
  const auto row = [&](std::size_t i) {
    return static_cast<const T*>(s.values) + q.sample(i) * s.features;
  };
  const T* x = row(0);
  const T* w = static_cast<const T*>(q.phi);
  T product;
  dots<1, 1, 0>(s.features, &x, w, s.features, &product, &x);
  const std::size_t sample = q.sample(0);
  g.output = double(s.intercept ? product + w[s.features] : product);
  g.target = double(static_cast<const T*>(s.targets)[sample * s.target_count]);
  g.weight = s.weight ? double(static_cast<const T*>(s.weight)[sample]) : 1.0;
  g.slope = g.weight * heads.at[b.head].slope_of_one(g.output, g.target);
  g.type = s.type;
  g.row = x;
  for (std::size_t r = 0; r < rows_in_flight; ++r) {
    const std::size_t later = row_ahead + rows_in_flight - 1 - r;
    g.ahead[r] = row(q.ahead < later ? q.ahead : later);
  }
  g.features = s.features;
  g.intercept = s.intercept;
  fetch_target<T>(b, 2 * row_ahead + rows_in_flight);
}

template <class T>
double dense_rows(const LinearBatch& b, std::size_t begin, std::size_t n, void* product,
                  double* scratch) {
  const std::size_t params = b.request->product ? b.samples->params() : 0;
  T* partial = static_cast<T*>(product);
  const bool chunked = n > chunk_rows;
  double* sums = scratch;
  double* memory = chunked ? scratch + b.samples->params() : scratch;
  double loss = 0;
  for (std::size_t chunk = 0; chunk < n; chunk += chunk_rows) {
    const std::size_t end = chunk + chunk_rows < n ? chunk + chunk_rows : n;
    loss += dense_chunk<T>(b, begin + chunk, begin + end, partial, memory);
    if (!chunked) continue;
    for (std::size_t j = 0; j < params; ++j)
      sums[j] = chunk == 0 ? double(partial[j]) : sums[j] + double(partial[j]);
  }
  if (chunked)
    for (std::size_t j = 0; j < params; ++j) partial[j] = T(sums[j]);
  return loss;
}
