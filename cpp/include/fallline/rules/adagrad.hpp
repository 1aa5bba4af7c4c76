// Adagrad (Duchi, Hazan & Singer 2011). `root_scale` is 1, or 1/√t for the mean of the squares.

struct adagrad {
  static constexpr int slots = 1;
  FALLLINE_COEFFICIENTS(weight_decay, step_size, root_scale, eps)

  template <class T>
  static void update(T& p, T g, T& s, const C<T>& c) {
    g = l2(g, p, c.weight_decay);
    s = s + g * g;
    p = p - c.step_size * g / (sqrt(s) * c.root_scale + c.eps);
  }
};
FALLLINE_RULE(adagrad)
