// Yogi (Zaheer et al. 2018, algorithm 2): the second moment moves towards g² by at most its size.

struct yogi {
  static constexpr int slots = 2;
  FALLLINE_COEFFICIENTS(weight_decay, beta1, one_minus_beta1, one_minus_beta2, step_size,
                        root_scale, eps)

  template <class T>
  static void update(T& p, T g, T& m, T& v, const C<T>& c) {
    g = l2(g, p, c.weight_decay);
    m = c.beta1 * m + c.one_minus_beta1 * g;
    const T square = g * g;
    v = v - c.one_minus_beta2 * sign(v - square) * square;
    p = p - c.step_size * m / (sqrt(v) * c.root_scale + c.eps);
  }
};
FALLLINE_RULE(yogi)
