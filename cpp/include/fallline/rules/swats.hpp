// SWATS (Keskar & Socher 2017, algorithm 1): Adam, later SGD. One rule serves both phases, as the
// phase is not a hyperparameter but found on the way: with `adam` 0, m is the velocity of SGD and v
// rests. Beside the update it reports the step's square and its product with the gradient.

struct swats {
  static constexpr int slots = 2;
  static constexpr int sums = 2;
  FALLLINE_COEFFICIENTS(adam, weight_decay, beta1, gain, beta2, one_minus_beta2, step_size, eps)

  template <class T>
  static void update(T& p, T g, T& m, T& v, T& step_step, T& step_grad, const C<T>& c) {
    g = l2(g, p, c.weight_decay);
    m = c.beta1 * m + c.gain * g;
    v = choose(c.adam, c.beta2 * v + c.one_minus_beta2 * g * g, v);
    const T sgd = c.step_size * m;
    const T step = choose(c.adam, sgd / (sqrt(v) + c.eps), sgd);
    p = p - step;
    step_step = step * step;
    step_grad = step * g;
  }
};
FALLLINE_RULE(swats)
