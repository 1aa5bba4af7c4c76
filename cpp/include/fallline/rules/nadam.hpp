// NAdam (Dozat 2016, algorithm 2): the momentum schedule and its products are in the two sizes.

struct nadam {
  static constexpr int slots = 2;
  FALLLINE_COEFFICIENTS(keep, weight_decay, beta1, one_minus_beta1, beta2, one_minus_beta2,
                        grad_size, mean_size, root_scale, eps)

  template <class T>
  static void update(T& p, T g, T& m, T& v, const C<T>& c) {
    g = l2(g, p, c.weight_decay);
    m = c.beta1 * m + c.one_minus_beta1 * g;
    v = c.beta2 * v + c.one_minus_beta2 * g * g;
    p = c.keep * p - (c.grad_size * g + c.mean_size * m) / (sqrt(v) * c.root_scale + c.eps);
  }
};
FALLLINE_RULE(nadam)
