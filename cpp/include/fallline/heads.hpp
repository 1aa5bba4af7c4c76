// How the loss of a linear model's outputs declares itself; objectives.def lists them. Included
// inside a per-ISA anonymous namespace.

// Of a block of rows at a time: outputs z, targets y, slopes ∂ℓ/∂z and directions u are by output,
// block_rows numbers each.
struct Head {
  using Value = void (*)(std::size_t outputs, const double* z, const double* y, double* loss,
                         double* slope);
  Value value;
  // Of one row and output: each without what only the other needs.
  double (*slope_of_one)(double z, double y);
  double (*loss_of_one)(double z, double y);
  // u becomes (∂²ℓ/∂z²) u.
  void (*curve)(std::size_t outputs, const double* z, const double* y, double* u);
};

template <class H, bool wants_loss>
double of_one(double z, double y) {
  double loss, slope;
  H::template value<1>(1, &z, &y, &loss, &slope);
  return wants_loss ? loss : slope;
}

template <int index>
struct RegisteredHead;

inline constexpr int first_head = __COUNTER__ + 1;

#define FALLLINE_HEAD(head)                         \
  template <>                                       \
  struct RegisteredHead<__COUNTER__ - first_head> { \
    using type = head;                              \
    static constexpr const char* name = #head;      \
  };

#include "fallline/objectives.def"

inline constexpr int head_count = __COUNTER__ - first_head;

inline constexpr auto heads = list_of<Head, head_count>([]<int i>(Constant<i>) {
  using head = typename RegisteredHead<i>::type;
  return Head{head::template value<block_rows>, of_one<head, false>, of_one<head, true>,
              head::curve};
});
inline constexpr auto head_names =
    list_of<const char*, head_count>([]<int i>(Constant<i>) { return RegisteredHead<i>::name; });
