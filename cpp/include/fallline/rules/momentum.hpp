// Running means and velocities of the gradient. The gradient of NesterovMomentum is taken at
// φ − ahead·m, so its L2 term is, too; `ahead` is 0 in Momentum.

struct momentum {
  static constexpr int slots = 1;
  FALLLINE_COEFFICIENTS(lr, weight_decay, beta, one_minus_beta, ahead)

  template <class T>
  static void update(T& p, T g, T& m, const C<T>& c) {
    g = l2(g, p - c.ahead * m, c.weight_decay);
    m = c.beta * m + c.one_minus_beta * g;
    p = p - c.lr * m;
  }
};
FALLLINE_RULE(momentum)

struct heavy_ball {  // Polyak 1964
  static constexpr int slots = 1;
  FALLLINE_COEFFICIENTS(lr, weight_decay, momentum)

  template <class T>
  static void update(T& p, T g, T& m, const C<T>& c) {
    m = c.momentum * m - c.lr * l2(g, p, c.weight_decay);
    p = p + m;
  }
};
FALLLINE_RULE(heavy_ball)
