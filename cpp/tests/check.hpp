// Checks that say what failed and go on. A test's main() ends with `return report();`, which is an
// error too where nothing was checked.
#pragma once
#include <cstdio>
#include <iostream>

namespace fallline::test {

inline long checked = 0;
inline long failed = 0;

// False, and the failure printed, where `fine` is. `context` tells one round of a loop from
// another.
template <class... Context>
bool check(bool fine, const char* what, const char* file, int line, const Context&... context) {
  ++checked;
  if (fine) return true;
  constexpr long shown = 20;  // a wrong codec would fill the screen
  if (++failed <= shown) {
    std::cerr << file << ':' << line << ": " << what;
    ((std::cerr << ' ' << context), ...);
    std::cerr << '\n';
  }
  return false;
}

template <class T, class U, class... Context>
bool check_equal(const T& got, const U& expected, const char* what, const char* file, int line,
                 const Context&... context) {
  return check(got == expected, what, file, line, got, "is not", expected, context...);
}

inline int report() {
  std::printf("%ld checks, %ld failed\n", checked, failed);
  return checked > 0 && failed == 0 ? 0 : 1;
}

}  // namespace fallline::test

#define CHECK(condition, ...) \
  ::fallline::test::check((condition), #condition, __FILE__, __LINE__ __VA_OPT__(, ) __VA_ARGS__)
#define CHECK_EQUAL(got, expected, ...)                                             \
  ::fallline::test::check_equal(got, expected, #got " == " #expected ":", __FILE__, \
                                __LINE__ __VA_OPT__(, ) __VA_ARGS__)
