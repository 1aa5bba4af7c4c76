// Binary cross-entropy: ℓ = max(z, 0) − y z + log(1 + e^−|z|), which overflows for no z.
struct logistic {
  template <std::size_t rows>
  static void value(std::size_t, const double* z, const double* y, double* loss, double* slope) {
#pragma omp simd
    for (std::size_t r = 0; r < rows; ++r) {
      const double e = exp(-abs(z[r]));
      slope[r] = (z[r] >= 0.0 ? 1.0 : e) / (1.0 + e) - y[r];
      loss[r] = max(z[r], 0.0) - y[r] * z[r] + log1p(e);
    }
  }

  static void curve(std::size_t, const double* z, const double*, double* u) {
#pragma omp simd
    for (std::size_t r = 0; r < block_rows; ++r) {
      const double e = exp(-abs(z[r]));
      u[r] *= e / ((1.0 + e) * (1.0 + e));
    }
  }
};
FALLLINE_HEAD(logistic)
