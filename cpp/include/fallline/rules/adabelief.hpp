// AdaBelief (Zhuang et al. 2020, algorithm 2): Adam with the variance around the running mean.

struct adabelief {
  static constexpr int slots = 2;
  FALLLINE_COEFFICIENTS(keep, weight_decay, beta1, one_minus_beta1, beta2, one_minus_beta2,
                        step_size, root_scale, eps)

  template <class T>
  static void update(T& p, T g, T& m, T& s, const C<T>& c) {
    g = l2(g, p, c.weight_decay);
    m = c.beta1 * m + c.one_minus_beta1 * g;
    const T surprise = g - m;
    s = c.beta2 * s + c.one_minus_beta2 * surprise * surprise + c.eps;
    p = c.keep * p - c.step_size * m / (sqrt(s) * c.root_scale + c.eps);
  }
};
FALLLINE_RULE(adabelief)

struct adabelief_amsgrad {
  static constexpr int slots = 3;
  FALLLINE_COEFFICIENTS(keep, weight_decay, beta1, one_minus_beta1, beta2, one_minus_beta2,
                        step_size, root_scale, eps, correction)

  template <class T>
  static void update(T& p, T g, T& m, T& s, T& s_max, const C<T>& c) {
    g = l2(g, p, c.weight_decay);
    m = c.beta1 * m + c.one_minus_beta1 * g;
    const T surprise = g - m;
    s = c.beta2 * s + c.one_minus_beta2 * surprise * surprise + c.eps;
    s_max = max(s_max, s * c.correction);
    p = c.keep * p - c.step_size * m / (sqrt(s_max) * c.root_scale + c.eps);
  }
};
FALLLINE_RULE(adabelief_amsgrad)
