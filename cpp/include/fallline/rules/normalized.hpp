// The gradient over its own magnitude. √(g²) is |g|, which neither over- nor underflows; and the
// quotient is formed first, as lr·g could do either.

struct normalized_gradient {
  static constexpr int slots = 0;
  FALLLINE_COEFFICIENTS(lr, weight_decay, eps)

  template <class T>
  static void update(T& p, T g, const C<T>& c) {
    g = l2(g, p, c.weight_decay);
    p = p - c.lr * (g / (abs(g) + c.eps));
  }
};
FALLLINE_RULE(normalized_gradient)
