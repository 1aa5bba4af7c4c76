// Adam (Kingma & Ba 2015, algorithm 1), AdamW (Loshchilov & Hutter 2019) and AMSGrad (Reddi et
// al. 2018). Bias correction of v and the place of ε are in the coefficients.

struct adam {
  static constexpr int slots = 2;
  FALLLINE_COEFFICIENTS(keep, weight_decay, beta1, one_minus_beta1, beta2, one_minus_beta2,
                        step_size, root_scale, eps)

  template <class T>
  static void update(T& p, T g, T& m, T& v, const C<T>& c) {
    g = l2(g, p, c.weight_decay);
    m = c.beta1 * m + c.one_minus_beta1 * g;
    v = c.beta2 * v + c.one_minus_beta2 * g * g;
    p = c.keep * p - c.step_size * m / (sqrt(v) * c.root_scale + c.eps);
  }
};
FALLLINE_RULE(adam)

struct adam_amsgrad {
  static constexpr int slots = 3;
  FALLLINE_COEFFICIENTS(keep, weight_decay, beta1, one_minus_beta1, beta2, one_minus_beta2,
                        step_size, root_scale, eps, correction)

  template <class T>
  static void update(T& p, T g, T& m, T& v, T& v_max, const C<T>& c) {
    g = l2(g, p, c.weight_decay);
    m = c.beta1 * m + c.one_minus_beta1 * g;
    v = c.beta2 * v + c.one_minus_beta2 * g * g;
    v_max = max(v_max, v * c.correction);
    p = c.keep * p - c.step_size * m / (sqrt(v_max) * c.root_scale + c.eps);
  }
};
FALLLINE_RULE(adam_amsgrad)
