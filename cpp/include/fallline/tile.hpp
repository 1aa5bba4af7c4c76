// A tile of a tensor through its stages: load → rule → store. Where an array already has the
// compute type it is worked on in place. Included inside a per-ISA anonymous namespace.

template <class T>
struct BitsOf;
template <>
struct BitsOf<float> {
  using type = u32;
};
template <>
struct BitsOf<double> {
  using type = u64;
};

// The one loop around every rule. A rule's sums are extra outputs behind its slots. Returns whether
// a gradient is not finite: g − g is then NaN, else +0. The two operations a vector hide behind the
// divisions and loads of any rule, where a second look at the tile cost 12 % of AdamW at 1M.
template <class R, class T, class... Slots>
bool rule_loop(std::size_t n, const typename R::template C<T> c, T* __restrict p,
               const T* __restrict g, Slots* __restrict... slot) {
  using Bits = typename BitsOf<T>::type;
  Bits nonfinite = 0;
#pragma omp simd reduction(| : nonfinite)
  for (std::size_t i = 0; i < n; ++i) {
    nonfinite |= bit_cast<Bits>(g[i] - g[i]);
    // On copies: a state that is stored and then used again would be loaded again.
    [&](T param, Slots... state) __attribute__((always_inline)) {
      R::update(param, g[i], state..., c);
      p[i] = param;
      ((slot[i] = state), ...);
    }(p[i], slot[i]...);
  }
  return nonfinite != 0;
}

template <class R, class T, int... s>
bool with_slots(std::size_t n, const T* coefficients, T* p, const T* g, T* const* slots,
                indices<s...>) {
  const auto c = *reinterpret_cast<const typename R::template C<T>*>(coefficients);
  return rule_loop<R, T>(n, c, p, g, slots[s]...);
}

template <class R, class T>
bool apply_rule(std::size_t n, T* p, const T* g, T* const* slots, const T* coefficients) {
  using outputs = typename count_to<R::slots + sums_of<R>()>::type;
  return with_slots<R, T>(n, coefficients, p, g, slots, outputs{});
}

template <class T>
struct Rule {
  bool (*apply)(std::size_t, T*, const T*, T* const*, const T*);
  int slots;
  int sums;
};

template <class T, int... i>
constexpr auto make_rules(indices<i...>) {
  struct {
    Rule<T> at[rule_count];
  } rules = {{{apply_rule<typename Registered<i>::type, T>, Registered<i>::type::slots,
               sums_of<typename Registered<i>::type>()}...}};
  return rules;
}
template <class T>
inline constexpr auto rules = make_rules<T>(typename count_to<rule_count>::type{});

template <class T>
struct Compute;
template <>
struct Compute<float> {
  static constexpr DType type = DType::f32;
  static const float* coefficients(const Cohort& c) { return c.f32; }
};
template <>
struct Compute<double> {
  static constexpr DType type = DType::f64;
  static const double* coefficients(const Cohort& c) { return c.f64; }
};

inline const void* at(const void* base, DType type, std::size_t index) {
  return static_cast<const char*>(base) + index * item_size[int(type)];
}
inline void* at(void* base, DType type, std::size_t index) {
  return static_cast<char*>(base) + index * item_size[int(type)];
}

// The gradient in the compute type, times `factor`: the array itself where it is that already.
template <class T>
const T* load_gradient(const Tensor& t, double factor, std::size_t begin, std::size_t n,
                       Scratch& scratch) {
  const void* from = at(t.grad, t.grad_type, begin);
  if (t.grad_type == Compute<T>::type && factor == 1.0) return static_cast<const T*>(from);
  decoders<T>[int(t.grad_type)](n, from, scratch.grad, factor);
  return reinterpret_cast<const T*>(scratch.grad);
}

template <class T>
bool update_tile(const Tensor& t, const Cohort& cohort, std::size_t begin, std::size_t n,
                 Scratch& scratch, double* sums) {
  const Rule<T>& rule = rules<T>.at[cohort.rule];
  const T* g = load_gradient<T>(t, cohort.factor, begin, n, scratch);

  void* home = at(t.param, t.param_type, begin);
  const bool in_place = t.param_type == Compute<T>::type;
  T* p = static_cast<T*>(in_place ? home : scratch.param);
  if (!in_place) decoders<T>[int(t.param_type)](n, home, p, 1.0);

  T* slots[max_slots + max_sums];
  for (int i = 0; i < rule.slots; ++i)
    slots[i] = static_cast<T*>(at(t.slots[i], Compute<T>::type, begin));
  for (int i = 0; i < rule.sums; ++i) slots[rule.slots + i] = reinterpret_cast<T*>(scratch.sums[i]);

  const bool nonfinite = rule.apply(n, p, g, slots, Compute<T>::coefficients(cohort));

  if (!in_place) encoders[int(t.param_type)](n, p, home);
  for (int i = 0; i < rule.sums; ++i) sums[i] = sum(n, slots[rule.slots + i]);
  return nonfinite;
}

template <class T>
double sum_squares_tile(const Tensor& t, double factor, std::size_t begin, std::size_t n,
                        Scratch& scratch, bool* finite) {
  const T* g = load_gradient<T>(t, factor, begin, n, scratch);
  const double total = sum_squares(n, g);
  // A finite value's square can overflow float64, so an infinite sum is looked into.
  if (total - total != 0.0 && any_nonfinite(n, g)) *finite = false;
  return total;
}
