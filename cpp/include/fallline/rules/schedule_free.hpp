// Schedule-free AdamW and SGD (Defazio et al. 2024, algorithm 1 and equations 3-5), in the form
// without x: p is y, the point where gradients are taken; z takes the plain steps. `average` is the
// weight of z in the mean x, `change` what a step of z moves y by.

struct schedule_free_adamw {
  static constexpr int slots = 2;
  FALLLINE_COEFFICIENTS(first, average, change, lr, weight_decay, beta2, one_minus_beta2,
                        root_scale, eps)

  template <class T>
  static void update(T& p, T g, T& z, T& v, const C<T>& c) {
    z = choose(c.first, p, z);
    v = c.beta2 * v + c.one_minus_beta2 * g * g;
    const T direction = l2(g / (sqrt(v) * c.root_scale + c.eps), p, c.weight_decay);
    p = p + c.average * (z - p) + c.change * direction;
    z = z - c.lr * direction;
  }
};
FALLLINE_RULE(schedule_free_adamw)

struct schedule_free_sgd {
  static constexpr int slots = 1;
  FALLLINE_COEFFICIENTS(first, average, change, lr, weight_decay)

  template <class T>
  static void update(T& p, T g, T& z, const C<T>& c) {
    z = choose(c.first, p, z);
    g = l2(g, p, c.weight_decay);
    p = p + c.average * (z - p) + c.change * g;
    z = z - c.lr * g;
  }
};
FALLLINE_RULE(schedule_free_sgd)
