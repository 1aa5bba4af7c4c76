// How a rule's header declares itself. __COUNTER__ numbers the rules in the order of rules.def, so
// that naming a header there is all it takes. Included inside a per-ISA anonymous namespace.

// A rule's coefficients, in the order in which Python passes them, as members of C<T>.
#define FALLLINE_COEFFICIENTS(...) \
  template <class T>               \
  struct C {                       \
    T __VA_ARGS__;                 \
  };                               \
  static constexpr const char* coefficients = #__VA_ARGS__;

template <int index>
struct Registered;

inline constexpr int first_rule = __COUNTER__ + 1;

#define FALLLINE_RULE(rule)                     \
  template <>                                   \
  struct Registered<__COUNTER__ - first_rule> { \
    using type = rule;                          \
    static constexpr const char* name = #rule;  \
  };

#include "fallline/rules.def"

inline constexpr int rule_count = __COUNTER__ - first_rule;

// Partial sums a rule reports beside its update; most report none.
template <class R>
constexpr int sums_of() {
  if constexpr (requires { R::sums; })
    return R::sums;
  else
    return 0;
}
