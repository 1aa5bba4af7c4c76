// f = sin(u) e^(−u²/32), u = φ₀ + 0.06 φ₁ x.
struct gabor {
  static constexpr double frequency = 0.06;

  // f and its derivatives by u.
  struct Wave {
    double f, slope, bend;
  };

  static Wave at(double u) {
    // Beyond 154.5 the envelope is 0 in float64, and ∞ · 0 must not arise; NaN and ∞ give NaN.
    const double bounded = max(-256.0, min(256.0, u)) + (u - u);
    const auto [sine, cosine] = sin_cos(bounded);
    const double envelope = exp(bounded * bounded * -0.03125), w = bounded * 0.0625;
    return {sine * envelope, (cosine - w * sine) * envelope,
            ((w * w - 1.0625) * sine - 2.0 * w * cosine) * envelope};
  }

  static void value(std::size_t, const double* phi, const double* x, double* f) {
#pragma omp simd
    for (std::size_t r = 0; r < block_rows; ++r) f[r] = at(phi[0] + frequency * phi[1] * x[r]).f;
  }

  static void slope(std::size_t, const double* phi, const double* x, double* f, double* slope) {
#pragma omp simd
    for (std::size_t r = 0; r < block_rows; ++r) {
      const Wave wave = at(phi[0] + frequency * phi[1] * x[r]);
      f[r] = wave.f;
      slope[r] = wave.slope;
      slope[block_rows + r] = frequency * x[r] * wave.slope;
    }
  }

  static void curve(std::size_t, const double* phi, const double* v, const double* x, double* f,
                    double* slope, double* bend) {
#pragma omp simd
    for (std::size_t r = 0; r < block_rows; ++r) {
      const Wave wave = at(phi[0] + frequency * phi[1] * x[r]);
      const double turn = wave.bend * (v[0] + frequency * v[1] * x[r]);
      f[r] = wave.f;
      slope[r] = wave.slope;
      slope[block_rows + r] = frequency * x[r] * wave.slope;
      bend[r] = turn;
      bend[block_rows + r] = frequency * x[r] * turn;
    }
  }
};
FALLLINE_CURVE(gabor)
