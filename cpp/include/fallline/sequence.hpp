// Numbers at compile time, as std::index_sequence has them; a std template would be shared between
// ISAs. Included inside a per-ISA anonymous namespace.

template <int n>
struct Constant {};

template <int... i>
struct indices {};
template <int n, int... i>
struct count_to : count_to<n - 1, n - 1, i...> {};
template <int... i>
struct count_to<0, i...> {
  using type = indices<i...>;
};
