// CPU and operating-system support for the ISAs of CMakeLists.txt.
#pragma once

namespace fallline::cpu {
bool always();
bool x86_64_v3();  // AVX2, FMA, BMI, F16C, and the OS saves ymm
bool x86_64_v4();  // and AVX-512 F, BW, CD, DQ, VL, and the OS saves zmm
}  // namespace fallline::cpu
