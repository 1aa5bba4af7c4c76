// AdEMAMix (Pagliardini, Ablin & Grangier 2024, algorithm 1): AdamW with a second, slow mean of the
// gradient. Its share and both warm-ups are in the coefficients.

struct ademamix {
  static constexpr int slots = 3;
  FALLLINE_COEFFICIENTS(keep, beta1, one_minus_beta1, beta2, one_minus_beta2, beta3,
                        one_minus_beta3, fast_size, slow_size, root_scale, eps)

  template <class T>
  static void update(T& p, T g, T& fast, T& slow, T& v, const C<T>& c) {
    fast = c.beta1 * fast + c.one_minus_beta1 * g;
    slow = c.beta3 * slow + c.one_minus_beta3 * g;
    v = c.beta2 * v + c.one_minus_beta2 * g * g;
    p = c.keep * p - (c.fast_size * fast + c.slow_size * slow) / (sqrt(v) * c.root_scale + c.eps);
  }
};
FALLLINE_RULE(ademamix)
