// Stochastic gradient descent as torch.optim.SGD: heavy-ball velocity, optionally Nesterov's.

struct sgd {
  static constexpr int slots = 0;
  FALLLINE_COEFFICIENTS(lr, weight_decay)

  template <class T>
  static void update(T& p, T g, const C<T>& c) {
    p = p - c.lr * l2(g, p, c.weight_decay);
  }
};
FALLLINE_RULE(sgd)

struct sgd_momentum {
  static constexpr int slots = 1;
  FALLLINE_COEFFICIENTS(lr, weight_decay, momentum, undamped)

  template <class T>
  static void update(T& p, T g, T& b, const C<T>& c) {
    b = c.momentum * b + c.undamped * l2(g, p, c.weight_decay);
    p = p - c.lr * b;
  }
};
FALLLINE_RULE(sgd_momentum)

struct sgd_nesterov {
  static constexpr int slots = 1;
  FALLLINE_COEFFICIENTS(lr, weight_decay, momentum, undamped, lookahead)

  template <class T>
  static void update(T& p, T g, T& b, const C<T>& c) {
    g = l2(g, p, c.weight_decay);
    b = c.momentum * b + c.undamped * g;
    p = p - c.lr * (g + c.lookahead * b);
  }
};
FALLLINE_RULE(sgd_nesterov)
