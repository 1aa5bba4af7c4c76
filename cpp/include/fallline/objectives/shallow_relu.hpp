// f = φ₀ + Σ φ_k relu(z_k), z_k = θ_k0 + θ_k1 x, relu′(0) = 0. In the order of the parameters: φ₀,
// then all φ_k, all θ_k0, all θ_k1.
struct shallow_relu {
  static double relu(double z) { return z < 0.0 ? 0.0 : z; }  // NaN stays

  static void value(std::size_t params, const double* phi, const double* x, double* f) {
    const std::size_t hidden = (params - 1) / 3;
    const double *output = phi + 1, *bias = output + hidden, *weight = bias + hidden;
    for (std::size_t r = 0; r < block_rows; ++r) f[r] = phi[0];
    for (std::size_t k = 0; k < hidden; ++k) {
#pragma omp simd
      for (std::size_t r = 0; r < block_rows; ++r)
        f[r] += output[k] * relu(bias[k] + weight[k] * x[r]);
    }
  }

  static void slope(std::size_t params, const double* phi, const double* x, double* f,
                    double* slope) {
    const std::size_t hidden = (params - 1) / 3;
    const double *output = phi + 1, *bias = output + hidden, *weight = bias + hidden;
    for (std::size_t r = 0; r < block_rows; ++r) {
      f[r] = phi[0];
      slope[r] = 1.0;
    }
    double* of_output = slope + block_rows;
    double* of_bias = of_output + hidden * block_rows;
    double* of_weight = of_bias + hidden * block_rows;
    for (std::size_t k = 0; k < hidden * block_rows; k += block_rows) {
      const double own = output[k / block_rows], b = bias[k / block_rows],
                   w = weight[k / block_rows];
#pragma omp simd
      for (std::size_t r = 0; r < block_rows; ++r) {
        const double z = b + w * x[r], on = z > 0.0 ? own : 0.0;
        f[r] += own * relu(z);
        of_output[k + r] = relu(z);
        of_bias[k + r] = on;
        of_weight[k + r] = on * x[r];
      }
    }
  }

  static void curve(std::size_t params, const double* phi, const double* v, const double* x,
                    double* f, double* slopes, double* bend) {
    const std::size_t hidden = (params - 1) / 3;
    slope(params, phi, x, f, slopes);
    const double* kinks = slopes + block_rows;  // relu(z), positive where the unit is on
    for (std::size_t r = 0; r < block_rows; ++r) bend[r] = 0.0;
    double* of_output = bend + block_rows;
    double* of_bias = of_output + hidden * block_rows;
    double* of_weight = of_bias + hidden * block_rows;
    for (std::size_t k = 0; k < hidden; ++k) {
      const double output = v[1 + k], bias = v[1 + hidden + k], weight = v[1 + 2 * hidden + k];
#pragma omp simd
      for (std::size_t r = 0; r < block_rows; ++r) {
        const bool on = kinks[k * block_rows + r] > 0.0;
        of_output[k * block_rows + r] = on ? bias + weight * x[r] : 0.0;
        of_bias[k * block_rows + r] = on ? output : 0.0;
        of_weight[k * block_rows + r] = on ? output * x[r] : 0.0;
      }
    }
  }
};
FALLLINE_CURVE(shallow_relu)
