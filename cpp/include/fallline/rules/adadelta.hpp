// Adadelta (Zeiler 2012, algorithm 1): the numerator is the accumulator of earlier steps.

struct adadelta {
  static constexpr int slots = 2;
  FALLLINE_COEFFICIENTS(lr, weight_decay, rho, one_minus_rho, eps)

  template <class T>
  static void update(T& p, T g, T& v, T& u, const C<T>& c) {
    g = l2(g, p, c.weight_decay);
    v = c.rho * v + c.one_minus_rho * g * g;
    const T delta = sqrt(u + c.eps) / sqrt(v + c.eps) * g;
    u = c.rho * u + c.one_minus_rho * delta * delta;
    p = p - c.lr * delta;
  }
};
FALLLINE_RULE(adadelta)
