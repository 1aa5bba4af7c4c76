// RAdam (Liu et al. 2020, algorithm 2): momentum alone until the second moment can be trusted.

struct radam {
  static constexpr int slots = 2;
  FALLLINE_COEFFICIENTS(keep, weight_decay, beta1, one_minus_beta1, beta2, one_minus_beta2,
                        rectified, step_size, eps)

  template <class T>
  static void update(T& p, T g, T& m, T& v, const C<T>& c) {
    g = l2(g, p, c.weight_decay);
    m = c.beta1 * m + c.one_minus_beta1 * g;
    v = c.beta2 * v + c.one_minus_beta2 * g * g;
    const T step = c.step_size * m;
    p = c.keep * p - choose(c.rectified, step / (sqrt(v) + c.eps), step);
  }
};
FALLLINE_RULE(radam)
