// signSGD and Signum (Bernstein et al. 2018, algorithms 1 and 2): the sign of the gradient, or of
// its running mean.

struct signsgd {
  static constexpr int slots = 0;
  FALLLINE_COEFFICIENTS(keep, lr)

  template <class T>
  static void update(T& p, T g, const C<T>& c) {
    p = c.keep * p - c.lr * sign(g);
  }
};
FALLLINE_RULE(signsgd)

struct signum {
  static constexpr int slots = 1;
  FALLLINE_COEFFICIENTS(keep, lr, beta, one_minus_beta)

  template <class T>
  static void update(T& p, T g, T& m, const C<T>& c) {
    m = c.beta * m + c.one_minus_beta * g;
    p = c.keep * p - c.lr * sign(m);
  }
};
FALLLINE_RULE(signum)
