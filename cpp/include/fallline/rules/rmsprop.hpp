// RMSprop (Tieleman & Hinton 2012), and around the gradient's mean (Graves 2013). One of the two ε,
// under the root and beside it, is 0. `gain` is 1 − α, but for a first step that fills v with g².

struct rmsprop {
  static constexpr int slots = 1;
  FALLLINE_COEFFICIENTS(lr, weight_decay, alpha, gain, inner_eps, eps)

  template <class T>
  static void update(T& p, T g, T& v, const C<T>& c) {
    g = l2(g, p, c.weight_decay);
    v = c.alpha * v + c.gain * g * g;
    p = p - c.lr * g / (sqrt(v + c.inner_eps) + c.eps);
  }
};
FALLLINE_RULE(rmsprop)

struct rmsprop_momentum {
  static constexpr int slots = 2;
  FALLLINE_COEFFICIENTS(lr, weight_decay, alpha, gain, inner_eps, eps, momentum)

  template <class T>
  static void update(T& p, T g, T& v, T& b, const C<T>& c) {
    g = l2(g, p, c.weight_decay);
    v = c.alpha * v + c.gain * g * g;
    b = c.momentum * b + g / (sqrt(v + c.inner_eps) + c.eps);
    p = p - c.lr * b;
  }
};
FALLLINE_RULE(rmsprop_momentum)

// Rounding can make the variance negative, by as much as its own error: its magnitude is taken,
// where torch's root is NaN. (At 0 instead, the step would be g/ε.)
struct rmsprop_centered {
  static constexpr int slots = 2;
  FALLLINE_COEFFICIENTS(lr, weight_decay, alpha, gain, inner_eps, eps, mean_alpha, mean_gain)

  template <class T>
  static void update(T& p, T g, T& v, T& m, const C<T>& c) {
    g = l2(g, p, c.weight_decay);
    v = c.alpha * v + c.gain * g * g;
    m = c.mean_alpha * m + c.mean_gain * g;
    p = p - c.lr * g / (sqrt(abs(v - m * m) + c.inner_eps) + c.eps);
  }
};
FALLLINE_RULE(rmsprop_centered)

struct rmsprop_centered_momentum {
  static constexpr int slots = 3;
  FALLLINE_COEFFICIENTS(lr, weight_decay, alpha, gain, inner_eps, eps, mean_alpha, mean_gain,
                        momentum)

  template <class T>
  static void update(T& p, T g, T& v, T& b, T& m, const C<T>& c) {
    g = l2(g, p, c.weight_decay);
    v = c.alpha * v + c.gain * g * g;
    m = c.mean_alpha * m + c.mean_gain * g;
    b = c.momentum * b + g / (sqrt(abs(v - m * m) + c.inner_eps) + c.eps);
    p = p - c.lr * b;
  }
};
FALLLINE_RULE(rmsprop_centered_momentum)
