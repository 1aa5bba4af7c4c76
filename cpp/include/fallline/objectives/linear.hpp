// Squared error: ℓ = Σ (z − y)².
struct linear {
  template <std::size_t rows>
  static void value(std::size_t outputs, const double* z, const double* y, double* loss,
                    double* slope) {
    for (std::size_t r = 0; r < rows; ++r) loss[r] = 0;
    for (std::size_t c = 0; c < outputs; ++c) {
#pragma omp simd
      for (std::size_t r = 0; r < rows; ++r) {
        const double residual = z[c * rows + r] - y[c * rows + r];
        loss[r] += residual * residual;
        slope[c * rows + r] = 2.0 * residual;
      }
    }
  }

  static void curve(std::size_t outputs, const double*, const double*, double* u) {
    for (std::size_t i = 0; i < outputs * block_rows; ++i) u[i] *= 2.0;
  }
};
FALLLINE_HEAD(linear)
