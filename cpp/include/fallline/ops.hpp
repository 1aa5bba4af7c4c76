// The operations a rule may use beside + − × ÷: each is rounded identically at any vector width.
// Included inside a per-ISA anonymous namespace: no standard header may be included here.

template <class T>
inline T select(bool condition, T yes, T no) {
  return condition ? yes : no;
}

inline float sqrt(float x) { return __builtin_sqrtf(x); }
inline double sqrt(double x) { return __builtin_sqrt(x); }
inline float abs(float x) { return __builtin_fabsf(x); }
inline double abs(double x) { return __builtin_fabs(x); }

// NaN in `b` (by convention the newer value) wins; spelled as Python's `where(a > b, a, b)`.
template <class T>
inline T max(T a, T b) {
  return a > b ? a : b;
}
template <class T>
inline T min(T a, T b) {
  return a < b ? a : b;
}

// −1, +0 or 1; NaN gives 0.
template <class T>
inline T sign(T x) {
  return x > T(0) ? T(1) : (x < T(0) ? T(-1) : T(0));
}

// For switches that are on in some steps only: `flag` is a coefficient, 0 or 1.
template <class T>
inline T choose(T flag, T yes, T no) {
  return flag != T(0) ? yes : no;
}

// L2 regularization. Without decay g passes untouched, so that an infinite parameter (a mask) with
// a zero gradient stays what it is instead of becoming 0 · ∞ = NaN.
template <class T>
inline T l2(T g, T p, T weight_decay) {
  return weight_decay != T(0) ? g + weight_decay * p : g;
}
