#include "fallline/cpu.hpp"

#include <initializer_list>

#ifdef __x86_64__
#include <cpuid.h>
#endif

namespace fallline::cpu {

bool always() { return true; }

#ifdef __x86_64__
namespace {

struct Leaf {
  unsigned a = 0, b = 0, c = 0, d = 0;
};

Leaf cpuid(unsigned leaf, unsigned subleaf = 0) {
  Leaf r;
  __get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d);
  return r;
}

// Which register files the operating system saves (XCR0).
unsigned saved_state() {
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

bool has(unsigned word, std::initializer_list<int> bits) {
  for (int bit : bits)
    if ((word >> bit & 1u) == 0) return false;
  return true;
}

}  // namespace

std::size_t fetch_ahead() {
  const Leaf vendor = cpuid(0);
  const bool intel = vendor.b == 0x756e6547u && vendor.d == 0x49656e69u && vendor.c == 0x6c65746eu;
  return intel ? 2048 : 0;  // "GenuineIntel"
}

// Bits as in the Intel SDM, volume 2, CPUID.
bool x86_64_v3() {
  const unsigned c1 = cpuid(1).c;
  return has(c1, {12, 22, 27, 28, 29})       // FMA MOVBE OSXSAVE AVX F16C
         && (saved_state() & 0x6u) == 0x6u   // xmm, ymm
         && has(cpuid(7).b, {3, 5, 8})       // BMI1 AVX2 BMI2
         && has(cpuid(0x80000001u).c, {5});  // LZCNT
}

bool x86_64_v4() {
  return x86_64_v3() && (saved_state() & 0xe0u) == 0xe0u  // opmask, zmm
         && has(cpuid(7).b, {16, 17, 28, 30, 31});        // AVX-512 F DQ CD BW VL
}
#else
std::size_t fetch_ahead() { return 0; }
#endif

}  // namespace fallline::cpu
