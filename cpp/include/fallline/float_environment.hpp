// Default rounding and gradual underflow while a kernel runs. Another library may have set flush
// to zero (torch.set_flush_denormal, -ffast-math start-up code) on the caller's thread and not on
// the workers: the same step would then round differently from thread to thread.
#pragma once
#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace fallline {

class DefaultFloatEnvironment {
 public:
  DefaultFloatEnvironment() : saved_(read()) {
    if (saved_ != standard) write(standard);
  }
  ~DefaultFloatEnvironment() {
    if (saved_ != standard) write(saved_);
  }
  DefaultFloatEnvironment(const DefaultFloatEnvironment&) = delete;
  DefaultFloatEnvironment& operator=(const DefaultFloatEnvironment&) = delete;

 private:
#if defined(__x86_64__) || defined(_M_X64)
  using Word = unsigned;
  static constexpr Word standard = 0x1f80;  // all exceptions masked, to nearest, no FTZ, no DAZ
  static constexpr Word flags = 0x3f;
  static Word read() { return _mm_getcsr() & ~flags; }
  static void write(Word word) { _mm_setcsr(word); }
#elif defined(__aarch64__)
  using Word = std::uint64_t;
  static constexpr Word standard = 0;
  static Word read() {
    Word word;
    __asm__ volatile("mrs %0, fpcr" : "=r"(word));
    return word;
  }
  static void write(Word word) { __asm__ volatile("msr fpcr, %0" : : "r"(word)); }
#else
  using Word = int;
  static constexpr Word standard = 0;
  static Word read() { return 0; }
  static void write(Word) {}
#endif
  Word saved_;
};

}  // namespace fallline
