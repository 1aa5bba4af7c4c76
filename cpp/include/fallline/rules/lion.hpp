// Lion (Chen et al. 2023, algorithm 2): the sign of an interpolated momentum.

struct lion {
  static constexpr int slots = 1;
  FALLLINE_COEFFICIENTS(keep, lr, beta1, one_minus_beta1, beta2, one_minus_beta2)

  template <class T>
  static void update(T& p, T g, T& m, const C<T>& c) {
    p = c.keep * p - c.lr * sign(c.beta1 * m + c.one_minus_beta1 * g);
    m = c.beta2 * m + c.one_minus_beta2 * g;
  }
};
FALLLINE_RULE(lion)
