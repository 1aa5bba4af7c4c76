// CPU and operating-system support for the ISAs of CMakeLists.txt.
#pragma once
#include <cstddef>

namespace fallline::cpu {

// How far ahead of the work long arrays are fetched, in bytes; 0 where that gains nothing. Streams
// start anew at every page, and Intel's prefetchers are slow to follow: with it a step of AdamW is
// 1.15 times as fast at 60M parameters and 1.27 times at 10M, RMSprop and Lion 1.5 times, a norm
// 1.25 times (a Xeon with AVX-512). On Zen 4 and 5 the plain loop was as fast or faster.
std::size_t fetch_ahead();

bool always();
bool x86_64_v3();  // AVX2, FMA, BMI, F16C, and the OS saves ymm
bool x86_64_v4();  // and AVX-512 F, BW, CD, DQ, VL, and the OS saves zmm
}  // namespace fallline::cpu
