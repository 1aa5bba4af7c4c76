// iRprop⁻ (Igel & Hüsken 2000), as torch.optim.Rprop. Signs are multiplied, not gradients, whose
// product underflows where both are small.

struct rprop {
  static constexpr int slots = 2;
  FALLLINE_COEFFICIENTS(first, lr, shrink, grow, one, zero, smallest, largest)

  template <class T>
  static void update(T& p, T g, T& previous, T& size, const C<T>& c) {
    const T agreement = sign(g) * sign(previous);
    const bool turned = agreement < c.zero;
    const T factor = select(agreement > c.zero, c.grow, select(turned, c.shrink, c.one));
    size = min(max(choose(c.first, c.lr, size) * factor, c.smallest), c.largest);
    g = select(turned, c.zero, g);
    p = p - sign(g) * size;
    previous = g;
  }
};
FALLLINE_RULE(rprop)
