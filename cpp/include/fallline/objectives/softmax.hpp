// Multiclass cross-entropy: ℓ = log Σ e^z − z_y, shifted by the largest z so that nothing
// overflows. The target is a class's number.
struct softmax {
  template <std::size_t rows>
  static void largest(std::size_t classes, const double* z, double* top) {
    for (std::size_t r = 0; r < rows; ++r) top[r] = z[r];
    for (std::size_t c = 1; c < classes; ++c) {
#pragma omp simd
      for (std::size_t r = 0; r < rows; ++r) top[r] = max(top[r], z[c * rows + r]);
    }
  }

  template <std::size_t rows>
  static void value(std::size_t classes, const double* z, const double* y, double* loss,
                    double* slope) {
    double top[rows], total[rows] = {};
    largest<rows>(classes, z, top);
    for (std::size_t c = 0; c < classes; ++c) {
#pragma omp simd
      for (std::size_t r = 0; r < rows; ++r)
        total[r] += slope[c * rows + r] = exp(z[c * rows + r] - top[r]);
    }
    for (std::size_t c = 0; c < classes; ++c) {
#pragma omp simd
      for (std::size_t r = 0; r < rows; ++r) slope[c * rows + r] /= total[r];
    }
#pragma omp simd
    for (std::size_t r = 0; r < rows; ++r) loss[r] = log(total[r]);
    for (std::size_t r = 0; r < rows; ++r) {
      const std::size_t own = std::size_t(y[r]) * rows + r;
      loss[r] -= z[own] - top[r];
      slope[own] -= 1.0;
    }
  }

  static void curve(std::size_t classes, const double* z, const double*, double* u) {
    double top[block_rows], total[block_rows] = {}, mean[block_rows] = {};
    largest<block_rows>(classes, z, top);
    for (std::size_t c = 0; c < classes; ++c) {
#pragma omp simd
      for (std::size_t r = 0; r < block_rows; ++r) {
        const double e = exp(z[c * block_rows + r] - top[r]);
        total[r] += e;
        mean[r] += e * u[c * block_rows + r];
      }
    }
    for (std::size_t c = 0; c < classes; ++c) {
#pragma omp simd
      for (std::size_t r = 0; r < block_rows; ++r)
        u[c * block_rows + r] = exp(z[c * block_rows + r] - top[r]) / total[r] *
                                (u[c * block_rows + r] - mean[r] / total[r]);
    }
  }
};
FALLLINE_HEAD(softmax)
