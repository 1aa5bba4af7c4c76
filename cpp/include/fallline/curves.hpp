// How the model of a curve declares itself, and the squared errors of a batch. curves.def lists the
// models. Included inside a per-ISA anonymous namespace.
//
// A model has three functions of a block of inputs x: `value` fills f, `slope` ∂f/∂φ as well and
// `curve` (∂²f/∂φ²)v too, block_rows numbers a parameter.

template <int index>
struct RegisteredCurve;

inline constexpr int first_curve = __COUNTER__ + 1;

#define FALLLINE_CURVE(curve)                         \
  template <>                                         \
  struct RegisteredCurve<__COUNTER__ - first_curve> { \
    using type = curve;                               \
    static constexpr const char* name = #curve;       \
  };

#include "fallline/curves.def"

inline constexpr int curve_count = __COUNTER__ - first_curve;

// A block's points. Behind the last one its first stands again, to count for nothing.
template <class T>
struct PointBlock {
  alignas(64) double x[block_rows], y[block_rows], weight[block_rows];

  PointBlock(const Points& points, const Request& q, std::size_t begin, std::size_t n) {
    const T* inputs = static_cast<const T*>(points.inputs);
    const T* targets = static_cast<const T*>(points.targets);
    const T* weights = static_cast<const T*>(points.weight);
    for (std::size_t r = 0; r < block_rows; ++r) {
      const std::size_t sample = q.sample(begin + (r < n ? r : 0));
      x[r] = double(inputs[sample]);
      y[r] = double(targets[sample]);
      weight[r] = weights ? double(weights[sample]) : 1.0;
    }
  }
};

// Adds scale_r ∂f and, with a direction, the rest of (∂²ℓ)v: 2w (∂f·v) ∂f + 2w (f − y) (∂²f)v.
inline void add_curve_product(std::size_t params, const double* error, const double* twice,
                              const double* v, const double* slope, const double* bend,
                              double* sums) {
  double along[block_rows];
#pragma omp simd
  for (std::size_t r = 0; r < block_rows; ++r) along[r] = v ? 0.0 : error[r];
  for (std::size_t j = 0; v && j < params; ++j) {
#pragma omp simd
    for (std::size_t r = 0; r < block_rows; ++r) along[r] += slope[j * block_rows + r] * v[j];
  }
  for (std::size_t j = 0; j < params * block_rows; j += block_rows) {
    if (v) {
#pragma omp simd
      for (std::size_t r = 0; r < block_rows; ++r)
        sums[j + r] += twice[r] * (along[r] * slope[j + r] + error[r] * bend[j + r]);
    } else {
#pragma omp simd
      for (std::size_t r = 0; r < block_rows; ++r)
        sums[j + r] += twice[r] * along[r] * slope[j + r];
    }
  }
}

// Points [begin, begin + n) of a batch: returns Σ w·ℓ; `partial` becomes the unscaled product where
// one is wanted. Point i is added in lane i mod 8.
template <class Model, class T>
double curve_points(const CurveBatch& b, std::size_t begin, std::size_t n, double* partial,
                    double* scratch) {
  const Request& q = *b.request;
  const std::size_t params = b.points->params, size = params * block_rows;
  double *phi = scratch, *v = q.direction ? phi + params : nullptr;
  double *sums = phi + 2 * params, *slope = sums + size, *bend = slope + size;
  for (std::size_t j = 0; j < params; ++j) {
    phi[j] = double(static_cast<const T*>(q.phi)[j]);
    if (v) v[j] = double(static_cast<const T*>(q.direction)[j]);
  }
  for (std::size_t j = 0; q.product && j < size; ++j) sums[j] = 0.0;

  alignas(64) double loss[block_rows] = {}, f[block_rows], error[block_rows], twice[block_rows];
  for (std::size_t i = 0; i < n; i += block_rows) {
    const std::size_t left = n - i;
    const PointBlock<T> block(*b.points, q, begin + i, left);
    if (v)
      Model::curve(params, phi, v, block.x, f, slope, bend);
    else if (q.product)
      Model::slope(params, phi, block.x, f, slope);
    else
      Model::value(params, phi, block.x, f);
#pragma omp simd
    for (std::size_t r = 0; r < block_rows; ++r) {
      error[r] = f[r] - block.y[r];
      loss[r] += r < left ? block.weight[r] * (error[r] * error[r]) : 0.0;
      twice[r] = r < left ? 2.0 * block.weight[r] : 0.0;
    }
    if (q.product) add_curve_product(params, error, twice, v, slope, bend, sums);
  }
  for (std::size_t j = 0; q.product && j < params; ++j)
    partial[j] = add_lanes(sums + j * block_rows);
  return add_lanes(loss);
}

using CurveKernel = double (*)(const CurveBatch&, std::size_t, std::size_t, double*, double*);

template <class T>
inline constexpr auto curve_kernels =
    list_of<CurveKernel, curve_count>([]<int i>(Constant<i>) -> CurveKernel {
      return curve_points<typename RegisteredCurve<i>::type, T>;
    });
inline constexpr auto curve_names =
    list_of<const char*, curve_count>([]<int i>(Constant<i>) { return RegisteredCurve<i>::name; });
