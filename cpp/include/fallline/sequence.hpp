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

template <class Entry, int n>
struct List {
  Entry at[n];
};

// make(Constant<i>) for every i below n.
template <class Entry, int n, class Make>
constexpr List<Entry, n> list_of(Make make) {
  return [&]<int... i>(indices<i...>) {
    return List<Entry, n>{{make(Constant<i>{})...}};
  }(typename count_to<n>::type{});
}
