// How the model of a curve declares itself, and the squared errors of a batch. curves.def lists the
// models. Included inside a per-ISA anonymous namespace.
//
// A model has three functions of a few inputs x, `rows` of them: `value` fills f, `slope` ∂f/∂φ as
// well and `curve` (∂²f/∂φ²)v too, `rows` numbers a parameter.

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

// A kernel's memory: parameters and direction in float64, sums by lane, derivatives of some rows.
struct CurveWork {
  double *phi, *v, *sums, *slope, *bend;
  alignas(64) double loss[block_rows] = {};

  CurveWork(double* memory, std::size_t params)
      : phi(memory),
        v(phi + params),
        sums(v + params),
        slope(sums + params * block_rows),
        bend(slope + 2 * params * block_rows) {}
};

// Adds w·ℓ and the product of `rows` points, a multiple of block_rows, of which those from `n` on
// count for nothing. 2w (f − y) ∂f or, with a direction, 2w (∂f·v) ∂f + 2w (f − y) (∂²f)v.
template <class Model, class T, std::size_t rows>
void add_points(const CurveBatch& b, std::size_t begin, std::size_t n, CurveWork& work) {
  const Points& points = *b.points;
  const Request& q = *b.request;
  const std::size_t params = points.params;
  alignas(64) double x[rows], y[rows], weight[rows], f[rows], error[rows], along[rows];
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t sample = q.sample(begin + (r < n ? r : 0));
    x[r] = double(static_cast<const T*>(points.inputs)[sample]);
    y[r] = double(static_cast<const T*>(points.targets)[sample]);
    weight[r] = points.weight ? double(static_cast<const T*>(points.weight)[sample]) : 1.0;
  }
  if (q.direction)
    Model::template curve<rows>(params, work.phi, work.v, x, f, work.slope, work.bend);
  else if (q.product)
    Model::template slope<rows>(params, work.phi, x, f, work.slope);
  else
    Model::template value<rows>(params, work.phi, x, f);

  for (std::size_t block = 0; block < rows; block += block_rows) {
#pragma omp simd
    for (std::size_t l = 0; l < block_rows; ++l) {
      const std::size_t r = block + l;
      error[r] = f[r] - y[r];
      work.loss[l] += r < n ? weight[r] * (error[r] * error[r]) : 0.0;
      weight[r] = r < n ? 2.0 * weight[r] : 0.0;
    }
  }
  if (!q.product) return;
  for (std::size_t r = 0; r < rows; ++r) along[r] = 0.0;
  for (std::size_t j = 0; q.direction && j < params; ++j) {
#pragma omp simd
    for (std::size_t r = 0; r < rows; ++r) along[r] += work.slope[j * rows + r] * work.v[j];
  }
  for (std::size_t j = 0; j < params; ++j)
    for (std::size_t block = 0; block < rows; block += block_rows) {
      const double *slope = work.slope + j * rows, *bend = work.bend + j * rows;
      double* sums = work.sums + j * block_rows;
      if (q.direction) {
#pragma omp simd
        for (std::size_t l = 0; l < block_rows; ++l) {
          const std::size_t r = block + l;
          sums[l] += weight[r] * (along[r] * slope[r] + error[r] * bend[r]);
        }
      } else {
#pragma omp simd
        for (std::size_t l = 0; l < block_rows; ++l)
          sums[l] += weight[block + l] * error[block + l] * slope[block + l];
      }
    }
}

// Points [begin, begin + n) of a batch: returns Σ w·ℓ; `partial` becomes the unscaled product where
// one is wanted. Point i is added in lane i mod 8.
template <class Model, class T>
double curve_points(const CurveBatch& b, std::size_t begin, std::size_t n, double* partial,
                    double* scratch) {
  const Request& q = *b.request;
  const std::size_t params = b.points->params;
  CurveWork work(scratch, params);
  for (std::size_t j = 0; j < params; ++j) {
    work.phi[j] = double(static_cast<const T*>(q.phi)[j]);
    if (q.direction) work.v[j] = double(static_cast<const T*>(q.direction)[j]);
  }
  for (std::size_t j = 0; q.product && j < params * block_rows; ++j) work.sums[j] = 0.0;
  // Two blocks at once where there are as many: one alone is a chain of some 200 cycles, of which
  // another fills the gaps.
  for (std::size_t i = 0; i < n;) {
    const bool two = n - i > block_rows;
    if (two)
      add_points<Model, T, 2 * block_rows>(b, begin + i, n - i, work);
    else
      add_points<Model, T, block_rows>(b, begin + i, n - i, work);
    i += two ? 2 * block_rows : block_rows;
  }
  for (std::size_t j = 0; q.product && j < params; ++j)
    partial[j] = add_lanes(work.sums + j * block_rows);
  return add_lanes(work.loss);
}

using CurveKernel = double (*)(const CurveBatch&, std::size_t, std::size_t, double*, double*);

template <class T>
inline constexpr auto curve_kernels =
    list_of<CurveKernel, curve_count>([]<int i>(Constant<i>) -> CurveKernel {
      return curve_points<typename RegisteredCurve<i>::type, T>;
    });
inline constexpr auto curve_names =
    list_of<const char*, curve_count>([]<int i>(Constant<i>) { return RegisteredCurve<i>::name; });
