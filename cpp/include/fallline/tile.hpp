// Tiles of a tensor through their stages: decode → rule → encode. Where an array already has the
// compute type it is worked on in place, and so is a master copy. Included inside a per-ISA
// anonymous namespace.

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

// The one loop around every rule. A rule's sums are extra outputs behind its slots. Gradients are
// scaled on the way, by 1 too, which leaves them their bits. Returns whether a scaled one is not
// finite: g − g is then NaN, else +0. These three operations a vector hide behind the divisions and
// loads of any rule, where a second look at the tile cost 12 % of AdamW at 1M.
template <class R, class T, class... Slots>
bool rule_loop(std::size_t n, Fetch fetch, const typename R::template C<T> c, T factor,
               T* __restrict p, const T* __restrict grad, Slots* __restrict... slot) {
  using Bits = typename BitsOf<T>::type;
  constexpr std::size_t line = cache_line / sizeof(T);
  Bits nonfinite[line] = {};
  const auto element = [&](std::size_t i, Bits& bad) __attribute__((always_inline)) {
    const T g = grad[i] * factor;
    bad |= bit_cast<Bits>(g - g);
    // On copies: a state that is stored and then used again would be loaded again.
    [&](T param, Slots... state) __attribute__((always_inline)) {
      R::update(param, g, state..., c);
      p[i] = param;
      ((slot[i] = state), ...);
    }(p[i], slot[i]...);
  };
  std::size_t i = 0;
  for (; i < fetch.until && i + line <= n; i += line) {
    const std::size_t later = i + fetch.distance;
    __builtin_prefetch(p + later);
    __builtin_prefetch(grad + later);
    (__builtin_prefetch(slot + later), ...);
#pragma omp simd
    for (std::size_t l = 0; l < line; ++l) element(i + l, nonfinite[l]);
  }
  Bits any = 0;
#pragma omp simd reduction(| : any)
  for (std::size_t j = i; j < n; ++j) element(j, any);
  for (std::size_t l = 0; l < line; ++l) any |= nonfinite[l];
  return any != 0;
}

template <class R, class T, int... s>
bool with_slots(std::size_t n, std::size_t rest, const T* coefficients, T factor, T* p,
                const T* grad, T* const* slots, indices<s...>) {
  const auto c = *reinterpret_cast<const typename R::template C<T>*>(coefficients);
  return rule_loop<R, T>(n, fetch_of<T>(rest), c, factor, p, grad, slots[s]...);
}

template <class R, class T>
bool apply_rule(std::size_t n, std::size_t rest, T* p, const T* grad, T* const* slots, T factor,
                const T* coefficients) {
  using outputs = typename count_to<R::slots + sums_of<R>()>::type;
  return with_slots<R, T>(n, rest, coefficients, factor, p, grad, slots, outputs{});
}

template <class T>
struct Rule {
  bool (*apply)(std::size_t n, std::size_t rest, T*, const T*, T* const*, T, const T*);
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

// The gradient in the compute type: the array itself where it is that already.
template <class T>
const T* load_gradient(const Tensor& t, std::size_t begin, std::size_t n, Scratch& scratch) {
  const void* from = at(t.grad, t.grad_type, begin);
  if (t.grad_type == Compute<T>::type) return static_cast<const T*>(from);
  decoders<T>[int(t.grad_type)](n, from, scratch.grad);
  return reinterpret_cast<const T*>(scratch.grad);
}

// The rule on n elements of the `rest` from here on, those before p's first cache line apart:
// vectors that straddle two lines take 1.2 to 1.8 times as long in L1 and L2. (State arrays lie as
// p does, see Optimizer.)
template <class T>
bool apply_by_lines(const Rule<T>& rule, std::size_t n, std::size_t rest, T* p, const T* grad,
                    T** slots, const Cohort& cohort) {
  const T factor = static_cast<T>(cohort.factor);
  const T* coefficients = Compute<T>::coefficients(cohort);
  std::size_t head = -reinterpret_cast<std::uintptr_t>(p) % cache_line / sizeof(T);
  if (head == 0 || head >= n) return rule.apply(n, rest, p, grad, slots, factor, coefficients);
  const bool nonfinite = rule.apply(head, head, p, grad, slots, factor, coefficients);
  for (int i = 0; i < rule.slots + rule.sums; ++i) slots[i] += head;
  return rule.apply(n - head, rest - head, p + head, grad + head, slots, factor, coefficients) ||
         nonfinite;
}

template <class T>
bool update_part(const Tensor& t, const Cohort& cohort, std::size_t begin, std::size_t n,
                 Scratch& scratch) {
  const Rule<T>& rule = rules<T>.at[cohort.rule];
  const T* grad = load_gradient<T>(t, begin, n, scratch);

  void* home = at(t.param, t.param_type, begin);
  const bool in_place = t.param_type == Compute<T>::type;
  T* p = static_cast<T*>(in_place ? home : scratch.param);
  if (t.master != nullptr)
    p = static_cast<T*>(at(t.master, Compute<T>::type, begin));
  else if (!in_place)
    decoders<T>[int(t.param_type)](n, home, p);

  T* slots[max_slots + max_sums];
  for (int i = 0; i < rule.slots; ++i)
    slots[i] = static_cast<T*>(at(t.slots[i], Compute<T>::type, begin));
  for (int i = 0; i < rule.sums; ++i) slots[rule.slots + i] = reinterpret_cast<T*>(scratch.sums[i]);

  const bool nonfinite = apply_by_lines(rule, n, t.size - begin, p, grad, slots, cohort);
  if (!in_place) store_parameter(t, cohort, begin, n, p, home, scratch);
  return nonfinite;
}

// Tile by tile where something passes through the scratch; else in one go, as every call costs some
// dispatch, a prologue and an epilogue.
template <class T>
bool update_run(const Tensor& t, const Cohort& cohort, std::size_t begin, std::size_t n,
                Scratch& scratch, double* sums, std::size_t stride) {
  const int own_sums = rules<T>.at[cohort.rule].sums;
  if (own_sums == 0 && t.param_type == Compute<T>::type && t.grad_type == Compute<T>::type)
    return update_part<T>(t, cohort, begin, n, scratch);

  bool nonfinite = false;
  for (std::size_t tile = 0; tile * tile_size < n; ++tile) {
    const std::size_t done = tile * tile_size;
    const std::size_t rest = n - done < tile_size ? n - done : tile_size;
    nonfinite |= update_part<T>(t, cohort, begin + done, rest, scratch);
    for (int i = 0; sums != nullptr && i < own_sums; ++i)
      sums[std::size_t(i) * stride + tile] = sum(rest, reinterpret_cast<const T*>(scratch.sums[i]));
  }
  return nonfinite;
}

template <class T>
double sum_squares_tile(const Tensor& t, double factor, std::size_t begin, std::size_t n,
                        Scratch& scratch, bool* finite) {
  const T* grad = load_gradient<T>(t, begin, n, scratch);
  const T f = static_cast<T>(factor);
  const double total = sum_squares(n, grad, f, fetch_of<T>(t.size - begin));
  // A finite value's square can overflow float64, so an infinite sum is looked into.
  if (total - total != 0.0 && any_nonfinite(n, grad, f)) *finite = false;
  return total;
}
