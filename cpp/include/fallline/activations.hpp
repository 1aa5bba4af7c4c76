// Activations f of a network's units: f, f′ and f″ of a number; python/fallline/objectives has the
// same list. Included inside a per-ISA anonymous namespace.

template <class T>
struct Jet {
  T value, slope, bend;
};

struct identity {
  template <class T>
  static Jet<T> at(T x) {
    return {x, T(1), T(0)};
  }
};

struct relu {
  template <class T>
  static Jet<T> at(T x) {
    return {x <= T(0) ? T(0) : x, x > T(0) ? T(1) : T(0), T(0)};  // NaN stays
  }
};

struct tanh {
  static Jet<double> at(double x) {
    // Below 0.625, where 1 − e^−2x cancels, the rational function of Cephes (Moshier 1989).
    const double z = x * x, e = exp(-2.0 * abs(x)), far = (1.0 - e) / (1.0 + e);
    const double p =
        (-9.64399179425052238628e-1 * z - 9.92877231001918586564e1) * z - 1.61468768441708447952e3;
    const double q = ((z + 1.12811678491632931402e2) * z + 2.23548839060100448583e3) * z +
                     4.84406305325125486048e3;
    const double t = abs(x) < 0.625 ? x + x * z * p / q : (x < 0.0 ? -far : far);
    return {t, 1.0 - t * t, -2.0 * t * (1.0 - t * t)};
  }
};

struct sigmoid {
  static Jet<double> at(double x) {
    const double e = exp(-abs(x)), d = e / ((1.0 + e) * (1.0 + e));  // never overflows
    const double s = (x < 0.0 ? e : 1.0) / (1.0 + e);
    return {s, d, d * (1.0 - 2.0 * s)};
  }
};

struct softplus {
  static Jet<double> at(double x) {
    const Jet<double> s = sigmoid::at(x);
    return {(x <= 0.0 ? 0.0 : x) + log1p(exp(-abs(x))), s.value, s.slope};
  }
};

struct silu {
  static Jet<double> at(double x) {
    const Jet<double> s = sigmoid::at(x);
    return {x * s.value, s.value + x * s.slope, 2.0 * s.slope + x * s.bend};
  }
};

// x Φ(x). With z = |x|/√2, erfc(z) = e^−z² P(t)/(1 + 2z) of t = (z − 3.75)/(z + 3.75), as Shepherd
// & Laframboise (1981) have it; P interpolates at 26 Chebyshev nodes, to 3 ulp.
struct gelu {
  static Jet<double> at(double x) {
    constexpr double c[] = {
        1.23751263083782748e+00,  -1.40240598585547022e-01, 3.58541548546445835e-03,
        8.22767384901510884e-02,  -1.08803930141750230e-01, 9.23043211601963787e-02,
        -5.86933985896111593e-02, 2.83622774215439785e-02,  -9.74657955827515181e-03,
        1.75562583219153554e-03,  2.93713666984613073e-04,  -2.90153978137838383e-04,
        5.16490938858217037e-05,  2.23839082766003804e-05,  -1.14441343896584753e-05,
        -9.72841345181507702e-07, 1.75161894069436773e-06,  -5.82750186276869130e-08,
        -2.58648991071832202e-07, 2.43018394845030839e-08,  3.86624206628379175e-08,
        -4.39692191676290562e-09, -5.16908064481593161e-09, 5.48508452008362498e-10,
        4.24330382510967556e-10,  -3.79806472359002845e-11};
    const double z = abs(x) * 0.70710678118654752440, t = (z - 3.75) / (z + 3.75);
    double p = c[25];
#pragma GCC unroll 25
    for (int i = 24; i >= 0; --i) p = p * t + c[i];
    const double e = exp(-0.5 * x * x), tail = 0.5 * e * p / (1.0 + 2.0 * z);
    const double phi = x < 0.0 ? tail : 1.0 - tail, d = e * 0.39894228040143267794;
    return {x * phi, phi + x * d, d * (2.0 - x * x)};
  }
};

#define FALLLINE_ACTIVATIONS(row) \
  row(identity) row(relu) row(tanh) row(sigmoid) row(softplus) row(silu) row(gelu)
