// Adan (Xie et al. 2022, algorithm 1): means of the gradient, of its change from step to step, and
// of the square of the gradient looked ahead. `shrink` is the proximal weight decay.

struct adan {
  static constexpr int slots = 4;
  FALLLINE_COEFFICIENTS(first, beta1, one_minus_beta1, beta2, one_minus_beta2, beta3,
                        one_minus_beta3, step_size, change_size, root_scale, eps, shrink)

  template <class T>
  static void update(T& p, T g, T& m, T& d, T& n, T& previous, const C<T>& c) {
    const T change = g - choose(c.first, g, previous);
    m = c.beta1 * m + c.one_minus_beta1 * g;
    d = c.beta2 * d + c.one_minus_beta2 * change;
    const T ahead = g + c.beta2 * change;
    n = c.beta3 * n + c.one_minus_beta3 * ahead * ahead;
    const T step = (c.step_size * m + c.change_size * d) / (sqrt(n) * c.root_scale + c.eps);
    p = (p - step) * c.shrink;
    previous = g;
  }
};
FALLLINE_RULE(adan)
