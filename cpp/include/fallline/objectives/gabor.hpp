// f = sin(u) e^(−u²/32), u = φ₀ + 0.06 φ₁ x.
struct gabor {
  static constexpr double frequency = 0.06;

  // f and its derivatives by u.
  struct Wave {
    double f, slope, bend;
  };

  // Beyond |u| = 154.5 the envelope is 0 in float64 and so is all it multiplies, in an order in
  // which u² cannot overflow: sin_cos takes a u from 2^20 on for 0. An infinite u gives NaN.
  static Wave at(double u) {
    const auto [sine, cosine] = sin_cos(u);
    const double envelope = exp(u * u * -0.03125), w = u * 0.0625;
    return {sine * envelope, (cosine - w * sine) * envelope,
            (w * (w * sine - 2.0 * cosine) - 1.0625 * sine) * envelope};
  }

  template <std::size_t rows>
  static void value(std::size_t, const double* phi, const double* x, double* f) {
#pragma omp simd
    for (std::size_t r = 0; r < rows; ++r) f[r] = at(phi[0] + frequency * phi[1] * x[r]).f;
  }

  template <std::size_t rows>
  static void slope(std::size_t, const double* phi, const double* x, double* f, double* slope) {
#pragma omp simd
    for (std::size_t r = 0; r < rows; ++r) {
      const Wave wave = at(phi[0] + frequency * phi[1] * x[r]);
      f[r] = wave.f;
      slope[r] = wave.slope;
      slope[rows + r] = frequency * x[r] * wave.slope;
    }
  }

  template <std::size_t rows>
  static void curve(std::size_t, const double* phi, const double* v, const double* x, double* f,
                    double* slope, double* bend) {
#pragma omp simd
    for (std::size_t r = 0; r < rows; ++r) {
      const Wave wave = at(phi[0] + frequency * phi[1] * x[r]);
      const double turn = wave.bend * (v[0] + frequency * v[1] * x[r]);
      f[r] = wave.f;
      slope[r] = wave.slope;
      slope[rows + r] = frequency * x[r] * wave.slope;
      bend[r] = turn;
      bend[rows + r] = frequency * x[r] * turn;
    }
  }
};
FALLLINE_CURVE(gabor)
