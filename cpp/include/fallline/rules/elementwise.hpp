// What the library does to arrays beside optimizing, as rules too, so that it runs on every
// backend and storage type: clipping, sums of gradients, the switches of schedule-free averaging,
// and the trivial arithmetic that a benchmark holds the memory's speed against.

struct scale {  // reads no gradient
  static constexpr int slots = 0;
  FALLLINE_COEFFICIENTS(factor)

  template <class T>
  static void update(T& p, T, const C<T>& c) {
    p = p * c.factor;
  }
};
FALLLINE_RULE(scale)

struct clamp {  // reads no gradient; NaN stays NaN
  static constexpr int slots = 0;
  FALLLINE_COEFFICIENTS(low, high)

  template <class T>
  static void update(T& p, T, const C<T>& c) {
    p = select(p < c.low, c.low, select(p > c.high, c.high, p));
  }
};
FALLLINE_RULE(clamp)

struct interpolate {  // towards what is given in the gradient's place
  static constexpr int slots = 0;
  FALLLINE_COEFFICIENTS(weight)

  template <class T>
  static void update(T& p, T g, const C<T>& c) {
    p = p + c.weight * (g - p);
  }
};
FALLLINE_RULE(interpolate)

struct accumulate {  // what a sum held before is not read as a number when the term is its first
  static constexpr int slots = 0;
  FALLLINE_COEFFICIENTS(first, weight)

  template <class T>
  static void update(T& p, T g, const C<T>& c) {
    T term = c.weight * g;
    p = choose(c.first, term, p + term);
  }
};
FALLLINE_RULE(accumulate)

template <int n>
struct stream {  // reads n + 2 arrays, writes n + 1
  static constexpr int slots = n;
  FALLLINE_COEFFICIENTS(factor)

  template <class T, class... Rest>
  static void update(T& p, T g, Rest&... slots_and_c) {
    p = p + g;
    add(g, slots_and_c...);
  }

 private:
  template <class T, class... Rest>
  static void add(T g, T& slot, Rest&... rest) {
    slot = slot + g;
    add(g, rest...);
  }
  template <class T>
  static void add(T, const C<T>&) {}
};
using stream0 = stream<0>;
using stream1 = stream<1>;
using stream2 = stream<2>;
using stream3 = stream<3>;
using stream4 = stream<4>;
FALLLINE_RULE(stream0)
FALLLINE_RULE(stream1)
FALLLINE_RULE(stream2)
FALLLINE_RULE(stream3)
FALLLINE_RULE(stream4)
