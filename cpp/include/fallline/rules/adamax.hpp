// AdaMax (Kingma & Ba 2015, algorithm 2), with torch's ε inside the norm.

struct adamax {
  static constexpr int slots = 2;
  FALLLINE_COEFFICIENTS(weight_decay, beta1, one_minus_beta1, beta2, step_size, eps)

  template <class T>
  static void update(T& p, T g, T& m, T& u, const C<T>& c) {
    g = l2(g, p, c.weight_decay);
    m = c.beta1 * m + c.one_minus_beta1 * g;
    u = max(c.beta2 * u, abs(g) + c.eps);
    p = p - c.step_size * m / u;
  }
};
FALLLINE_RULE(adamax)
