// Averaged SGD (Polyak & Juditsky 1992), as torch.optim.ASGD. `follow`: the average is the last
// iterate, without a look at what it was.

struct asgd {
  static constexpr int slots = 1;
  FALLLINE_COEFFICIENTS(keep, eta, weight_decay, follow, mu)

  template <class T>
  static void update(T& p, T g, T& ax, const C<T>& c) {
    g = l2(g, p, c.weight_decay);
    p = c.keep * p - c.eta * g;
    ax = choose(c.follow, p, ax + c.mu * (p - ax));
  }
};
FALLLINE_RULE(asgd)
