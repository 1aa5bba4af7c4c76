// What a fully connected network computes between its matrix products. Included inside a per-ISA
// anonymous namespace.

template <class A, class T>
void activate_as(const Activation& t) {
  const std::size_t n = t.last - t.first;
  const auto row = [&](void* numbers, std::size_t r) {
    return static_cast<T*>(numbers) + r * t.width + t.first;
  };
  const T* __restrict bias = static_cast<const T*>(t.bias) + t.first;
  for (std::size_t r = 0; r < t.rows; ++r) {
    T* __restrict value = row(t.value, r);
    T* __restrict slope = row(t.slope, r);
    if (t.tangent == nullptr) {
#pragma omp simd
      for (std::size_t j = 0; j < n; ++j) {
        const auto f = A::at(value[j] + bias[j]);
        value[j] = T(f.value);
        slope[j] = T(f.slope);
      }
      continue;
    }
    const T* __restrict v_bias = static_cast<const T*>(t.v_bias) + t.first;
    T* __restrict tangent = row(t.tangent, r);
    T* __restrict bend = row(t.bend, r);
#pragma omp simd
    for (std::size_t j = 0; j < n; ++j) {
      const auto f = A::at(value[j] + bias[j]);
      const T u = tangent[j] + v_bias[j];
      value[j] = T(f.value);
      slope[j] = T(f.slope);
      tangent[j] = T(f.slope) * u;
      bend[j] = T(f.bend) * u;
    }
  }
}

#define FALLLINE_ROW(name) #name,
constexpr const char* activation_names[] = {FALLLINE_ACTIVATIONS(FALLLINE_ROW)};
#undef FALLLINE_ROW
constexpr int activation_count = sizeof activation_names / sizeof activation_names[0];

template <class T>
void activate_in(const Activation& t) {
#define FALLLINE_ROW(name) activate_as<name, T>,
  constexpr void (*by_name[])(const Activation&) = {FALLLINE_ACTIVATIONS(FALLLINE_ROW)};
#undef FALLLINE_ROW
  by_name[t.activation](t);
}

void activate(const Activation& t) {
  t.type == DType::f64 ? activate_in<double>(t) : activate_in<float>(t);
}

template <class T>
void pull_back_as(const PullBack& t) {
  constexpr std::size_t strip = 64;
  T* out = static_cast<T*>(t.sum);
  for (std::size_t begin = t.first; begin < t.last; begin += strip) {
    const std::size_t n = t.last - begin < strip ? t.last - begin : strip;
    alignas(64) double sum[strip] = {};
    for (std::size_t r = 0; r < t.rows; ++r) {
      const std::size_t at = r * t.width + begin;
      T* __restrict delta = static_cast<T*>(t.delta) + at;
      if (t.slope == nullptr) {
#pragma omp simd
        for (std::size_t j = 0; j < n; ++j) sum[j] += double(delta[j]);
        continue;
      }
      const T* __restrict slope = static_cast<const T*>(t.slope) + at;
      if (t.tangent == nullptr) {
#pragma omp simd
        for (std::size_t j = 0; j < n; ++j) sum[j] += double(delta[j] *= slope[j]);
        continue;
      }
      T* __restrict tangent = static_cast<T*>(t.tangent) + at;
      const T* __restrict bend = static_cast<const T*>(t.bend) + at;
#pragma omp simd
      for (std::size_t j = 0; j < n; ++j) {
        sum[j] += double(tangent[j] = tangent[j] * slope[j] + delta[j] * bend[j]);
        delta[j] *= slope[j];
      }
    }
    for (std::size_t j = 0; j < n; ++j)
      out[begin + j] = T(t.add ? double(out[begin + j]) + sum[j] : sum[j]);
  }
}

void pull_back(const PullBack& t) {
  t.type == DType::f64 ? pull_back_as<double>(t) : pull_back_as<float>(t);
}

// A block's numbers of all outputs turn from rows to columns, and back.
template <class T>
void load_outputs(const T* z, const T* bias, std::size_t outputs, std::size_t n, double* block) {
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t c = 0; c < outputs; ++c)
      block[c * block_rows + r] = double(z[r * outputs + c] + bias[c]);
}

template <class T>
void store_slopes(const double* block, double scale, std::size_t outputs, std::size_t n, T* z) {
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t c = 0; c < outputs; ++c)
      z[r * outputs + c] = T(scale * block[c * block_rows + r]);
}

template <class T>
double output_losses_as(const OutputLosses& b, std::size_t begin, std::size_t end, double* memory) {
  const std::size_t outputs = b.samples->outputs;
  const LinearBatch values{b.samples, b.request, b.head, nullptr};
  const LinearBatch curves{b.samples, b.curves, b.head, nullptr};
  const double scale = b.request->scale;
  double loss = 0;
  for (std::size_t i = begin; i < end; i += block_rows) {
    const std::size_t n = end - i < block_rows ? end - i : block_rows;
    T* z = static_cast<T*>(b.z) + i * outputs;
    Block<T> block(*b.samples, memory);
    load_outputs(z, static_cast<const T*>(b.bias), outputs, n, block.z);
    read_targets(values, block, b.first + i, n);
    loss += losses_and_slopes(values, block, n);
    store_slopes(block.slope, scale, outputs, n, z);
    if (b.curves == nullptr) continue;
    T* tangent = static_cast<T*>(b.tangent) + i * outputs;
    load_outputs(tangent, static_cast<const T*>(b.v_bias), outputs, n, block.u);
    losses_and_slopes(curves, block, n);
    store_slopes(block.slope, scale, outputs, n, tangent);
  }
  return loss;
}

double output_losses(const OutputLosses& b, std::size_t begin, std::size_t end, double* memory) {
  return b.samples->type == DType::f64 ? output_losses_as<double>(b, begin, end, memory)
                                       : output_losses_as<float>(b, begin, end, memory);
}
