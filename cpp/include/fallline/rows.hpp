// A linear model over rows of X: outputs, their losses and slopes, and the slopes pulled back.
// Included inside a per-ISA anonymous namespace.

// Sums at a time: as many as leave registers for the operands.
inline constexpr int dot_rows = register_bytes == 64 ? 8 : (register_bytes == 32 ? 4 : 2);
inline constexpr int dot_outputs = register_bytes == 64 ? 2 : 1;

// A block's numbers, by output (or target), a row each in the last index.
template <class T>
struct Block {
  double *z, *u, *slope, *y, *loss;
  T* products;  // of the compute type: z while it is formed, then the slopes

  Block(const Samples& s, double* memory) {
    const std::size_t own = s.outputs * block_rows;
    z = memory;
    u = z + own;
    slope = u + own;
    products = reinterpret_cast<T*>(slope + own);
    y = slope + 2 * own;
    loss = y + s.target_count * block_rows;
  }
};

// Losses and slopes of a block's rows from its outputs: Σ w·ℓ over the first n.
template <class T>
double losses_and_slopes(const LinearBatch& b, Block<T>& block, std::size_t begin, std::size_t n) {
  const Samples& s = *b.samples;
  const Request& q = *b.request;
  const T* targets = static_cast<const T*>(s.targets);
  const T* weight = static_cast<const T*>(s.weight);
  for (std::size_t r = 0; r < block_rows; ++r)
    for (std::size_t t = 0; t < s.target_count; ++t)
      block.y[t * block_rows + r] =
          r < n ? double(targets[q.sample(begin + r) * s.target_count + t]) : 0.0;
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
    const double w = weight ? double(weight[q.sample(begin + r)]) : 1.0;
    if (!q.direction) total += w * block.loss[r];
    if (weight)
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

// Outputs of n rows for one vector of parameters.
template <class T>
void dense_outputs(const Samples& s, const void* parameters, const T* const* x, std::size_t n,
                   T* products, double* z, const T* const* next) {
  const T* w = static_cast<const T*>(parameters);
  std::size_t r = 0;
  const auto outputs = [&]<int R>(Constant<R>) {
    by_outputs<R / 2>(s.outputs, [&]<int C, int N>(Constant<C>, Constant<N>, std::size_t c) {
      dots<R, C, N>(s.features, x + r, w + c * s.features, s.features,
                    products + c * block_rows + r, next + r / 2);
    });
    r += R;
  };
  while (r + dot_rows <= n) outputs(Constant<dot_rows>{});
  while (r + 4 <= n) outputs(Constant<4>{});
  while (r < n) outputs(Constant<1>{});
  for (std::size_t c = 0; c < s.outputs; ++c)
    for (std::size_t k = 0; k < n; ++k) {
      const T product = products[c * block_rows + k];
      z[c * block_rows + k] = double(s.intercept ? product + w[s.weights() + c] : product);
    }
}

// Adds slope × row to the partial product, output by output and row by row.
template <class T>
void dense_pull_back(const Samples& s, const T* const* x, std::size_t n, const T* slopes,
                     T* partial, const T* const* next) {
  std::size_t r = 0;
  const auto rows = [&]<int R>(Constant<R>) {
    by_outputs<R / 4>(s.outputs, [&]<int C, int N>(Constant<C>, Constant<N>, std::size_t c) {
      add_rows<R, C, N>(s.features, x + r, slopes + c * block_rows + r, partial + c * s.features,
                        s.features, next + r / 4);
    });
    r += R;
  };
  while (r + 8 <= n) rows(Constant<8>{});
  while (r + 4 <= n) rows(Constant<4>{});
  while (r < n) rows(Constant<1>{});
  if (s.intercept)
    for (std::size_t c = 0; c < s.outputs; ++c)
      for (r = 0; r < n; ++r) partial[s.weights() + c] += slopes[c * block_rows + r];
}

// Rows [begin, end) of the batch, added to `partial` where a product is wanted: Σ w·ℓ.
template <class T>
double dense_chunk(const LinearBatch& b, std::size_t begin, std::size_t end, T* partial,
                   double* memory) {
  const Samples& s = *b.samples;
  const Request& q = *b.request;
  const T* values = static_cast<const T*>(s.values);
  const auto row = [&](std::size_t i) { return values + q.sample(i) * s.features; };
  const T *x[block_rows], *next[block_rows];
  double loss = 0;
  for (std::size_t r = 0; r < block_rows; ++r)
    next[r] = row(begin + r < q.size ? begin + r : begin);
  for (std::size_t i = begin; i < end; i += block_rows) {
    const std::size_t n = end - i < block_rows ? end - i : block_rows;
    for (std::size_t r = 0; r < block_rows; ++r) x[r] = next[r];
    // Four of the next block's rows are fetched while this block's outputs are formed, two during
    // its losses, two while its slopes are pulled back: memory is never idle.
    for (std::size_t r = 0; r < block_rows; ++r) {
      const std::size_t later = i + block_rows + r;
      const std::size_t sample = q.sample(later < q.size ? later : i);
      next[r] = values + sample * s.features;
      __builtin_prefetch(static_cast<const T*>(s.targets) + sample * s.target_count);
      if (s.weight) __builtin_prefetch(static_cast<const T*>(s.weight) + sample);
    }
    Block<T> block(s, memory);
    dense_outputs(s, q.phi, x, n, block.products, block.z, next);
    if (q.direction) dense_outputs(s, q.direction, x, n, block.products, block.u, x);
    for (std::size_t r = 4; r < (q.product ? 6 : block_rows); ++r)
      Ahead<1, T>(next + r).row(s.features);
    loss += losses_and_slopes(b, block, i, n);
    if (!q.product) continue;
    for (std::size_t k = 0; k < s.outputs * block_rows; ++k) block.products[k] = T(block.slope[k]);
    dense_pull_back(s, x, n, block.products, partial, next + 6);
  }
  return loss;
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
    for (std::size_t j = 0; j < params; ++j) partial[j] = T(0);
    loss += dense_chunk<T>(b, begin + chunk, begin + end, partial, memory);
    if (!chunked) continue;
    for (std::size_t j = 0; j < params; ++j)
      sums[j] = chunk == 0 ? double(partial[j]) : sums[j] + double(partial[j]);
  }
  if (chunked)
    for (std::size_t j = 0; j < params; ++j) partial[j] = T(sums[j]);
  return loss;
}
