// f = φ₀ + Σ φ_k relu(z_k), z_k = θ_k0 + θ_k1 x, relu′(0) = 0. In the order of the parameters: φ₀,
// then all φ_k, all θ_k0, all θ_k1.
struct shallow_relu {
  static double relu(double z) { return z < 0.0 ? 0.0 : z; }  // NaN stays

  template <std::size_t rows>
  static void value(std::size_t params, const double* phi, const double* x, double* f) {
    const std::size_t hidden = (params - 1) / 3;
    const double *output = phi + 1, *bias = output + hidden, *weight = bias + hidden;
    for (std::size_t r = 0; r < rows; ++r) f[r] = phi[0];
    for (std::size_t k = 0; k < hidden; ++k) {
#pragma omp simd
      for (std::size_t r = 0; r < rows; ++r) f[r] += output[k] * relu(bias[k] + weight[k] * x[r]);
    }
  }

  template <std::size_t rows>
  static void slope(std::size_t params, const double* phi, const double* x, double* f,
                    double* slope) {
    const std::size_t hidden = (params - 1) / 3;
    const double *output = phi + 1, *bias = output + hidden, *weight = bias + hidden;
    for (std::size_t r = 0; r < rows; ++r) {
      f[r] = phi[0];
      slope[r] = 1.0;
    }
    double* of_output = slope + rows;
    double* of_bias = of_output + hidden * rows;
    double* of_weight = of_bias + hidden * rows;
    for (std::size_t k = 0; k < hidden * rows; k += rows) {
      const double own = output[k / rows], b = bias[k / rows], w = weight[k / rows];
#pragma omp simd
      for (std::size_t r = 0; r < rows; ++r) {
        const double z = b + w * x[r], on = z > 0.0 ? own : 0.0;
        f[r] += own * relu(z);
        of_output[k + r] = relu(z);
        of_bias[k + r] = on;
        of_weight[k + r] = on * x[r];
      }
    }
  }

  template <std::size_t rows>
  static void curve(std::size_t params, const double* phi, const double* v, const double* x,
                    double* f, double* slopes, double* bend) {
    const std::size_t hidden = (params - 1) / 3;
    slope<rows>(params, phi, x, f, slopes);
    const double* kinks = slopes + rows;  // relu(z), positive where the unit is on
    for (std::size_t r = 0; r < rows; ++r) bend[r] = 0.0;
    double* of_output = bend + rows;
    double* of_bias = of_output + hidden * rows;
    double* of_weight = of_bias + hidden * rows;
    for (std::size_t k = 0; k < hidden; ++k) {
      const double output = v[1 + k], bias = v[1 + hidden + k], weight = v[1 + 2 * hidden + k];
#pragma omp simd
      for (std::size_t r = 0; r < rows; ++r) {
        const bool on = kinks[k * rows + r] > 0.0;
        of_output[k * rows + r] = on ? bias + weight * x[r] : 0.0;
        of_bias[k * rows + r] = on ? output : 0.0;
        of_weight[k * rows + r] = on ? output * x[r] : 0.0;
      }
    }
  }
};
FALLLINE_CURVE(shallow_relu)
