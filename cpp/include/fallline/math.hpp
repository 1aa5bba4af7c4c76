// exp, log, log1p, sin and cos in float64, as straight lines of + − × ÷, selects and bit
// operations: they vectorize, and give the same bits on every ISA and with every C library. Within
// 1 ulp of the true value (sin and cos: 3). Methods and coefficients are fdlibm's (Sun Microsystems
// 1993), its branches turned into selects. Included inside a per-ISA anonymous namespace.

inline constexpr double ln2_high = 6.93147180369123816490e-01;  // 32 bits: k·ln2_high is exact
inline constexpr double ln2_low = 1.90821492927058770002e-10;
// Added to a number below 2^51, it leaves the nearest integer in the last bits.
inline constexpr double integers = 0x1.8p52;

// 2^k for a whole k in [−1022, 1023].
inline double power_of_two(double k) {
  return bit_cast<double>((bit_cast<u64>(k + integers) + 1023) << 52);
}

inline double exp(double x) {
  // At these bounds the result is infinity or 0 already.
  const double bounded = x > 710.0 ? 710.0 : (x < -746.0 ? -746.0 : x);
  const double k = (bounded * 1.44269504088896338700 + integers) - integers;
  const double high = bounded - k * ln2_high, low = k * ln2_low;
  const double r = high - low, t = r * r;
  const double c =
      r - t * (1.66666666666666019037e-01 +
               t * (-2.77777777770155933842e-03 +
                    t * (6.61375632143793436117e-05 +
                         t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08))));
  const double y = 1.0 - ((low - (r * c) / (2.0 - c)) - high);
  // In two factors: 2^1024 and the subnormal numbers are out of reach of one.
  const double half = (k * 0.5 + integers) - integers;
  const double result = y * power_of_two(half) * power_of_two(k - half);
  return x == x ? result : x;
}

// log(u) + c/u for a normal u, where c is what rounding took from u.
inline double log_corrected(double u, double c) {
  // u = 2^k (1 + f) with 1 + f in [√½, √2): 0x3fe6a09e is the upper half of √½.
  const u64 bits = bit_cast<u64>(u) + (u64{0x3ff00000 - 0x3fe6a09e} << 32);
  const double k = bit_cast<double>((bits >> 52) | 0x4330000000000000u) - (0x1p52 + 1023.0);
  const double f = bit_cast<double>((bits & 0xfffffffffffffu) + 0x3fe6a09e00000000u) - 1.0;
  const double s = f / (2.0 + f), z = s * s, w = z * z;
  const double even = w * (3.999999999940941908e-01 +
                           w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
  const double odd = z * (6.666666666666735130e-01 +
                          w * (2.857142874366239149e-01 +
                               w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
  const double half_square = 0.5 * f * f;
  return k * ln2_high -
         ((half_square - (s * (half_square + (even + odd)) + (k * ln2_low + c / u))) - f);
}

// For normal x > 0, infinity and NaN.
inline double log(double x) { return x < __builtin_inf() ? log_corrected(x, 0.0) : x; }

// For x ≥ 0, infinity and NaN.
inline double log1p(double x) {
  const double u = 1.0 + x;
  return x < __builtin_inf() ? log_corrected(u, u < 2.0 ? x - (u - 1.0) : 1.0 - (u - x)) : x;
}

struct SinCos {
  double sin, cos;
};

// For |x| up to 2^20; larger finite x count as 0, infinity gives NaN.
inline SinCos sin_cos(double x) {
  const double bounded = abs(x) < 0x1p20 ? x : 0.0;
  const double shifted = bounded * 6.36619772367581382433e-01 + integers;  // quarter turns
  const double k = shifted - integers;
  // π/2 in three parts, the first two of 33 bits: their multiples are exact.
  const double r = ((bounded - k * 1.57079632673412561417) - k * 6.07710050630396597660e-11) -
                   k * 2.02226624879595063154e-21;
  const double z = r * r;
  const double sine =
      r + r * z *
              (-1.66666666666666324348e-01 +
               z * (8.33333333332248946124e-03 +
                    z * (-1.98412698298579493134e-04 +
                         z * (2.75573137070700676789e-06 + z * (-2.50507602534068634195e-08 +
                                                                z * 1.58969099521155010221e-10)))));
  const double half_square = 0.5 * z;
  const double rounded = 1.0 - half_square;
  const double cosine =
      rounded +
      (((1.0 - rounded) - half_square) +
       z * z *
           (4.16666666666666019037e-02 +
            z * (-1.38888888888741095749e-03 +
                 z * (2.48015872894767294178e-05 +
                      z * (-2.75573143513906633035e-07 +
                           z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11))))));
  const u64 quarter = bit_cast<u64>(shifted);
  const double nothing = x - x;  // NaN where x is infinite
  const double s = (quarter & 1) ? cosine : sine, c = (quarter & 1) ? sine : cosine;
  return {((quarter & 2) ? -s : s) + nothing, (((quarter + 1) & 2) ? -c : c) + nothing};
}
