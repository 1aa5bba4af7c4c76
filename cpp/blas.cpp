#include "fallline/blas.hpp"

#include <cstdint>
#include <mutex>

namespace fallline {
namespace {

template <class Integer, class T>
void gemm(void* function, const Product& p) {
  using Gemm = void (*)(int, int, int, Integer, Integer, Integer, T, const T*, Integer, const T*,
                        Integer, T, T*, Integer);
  constexpr int row_major = 101, plain = 111, transposed = 112;  // of CBLAS
  const auto integer = [](std::size_t x) { return static_cast<Integer>(x); };
  reinterpret_cast<Gemm>(function)(row_major, p.transpose_a ? transposed : plain,
                                   p.transpose_b ? transposed : plain, integer(p.m), integer(p.n),
                                   integer(p.k), T(1), static_cast<const T*>(p.a), integer(p.row_a),
                                   static_cast<const T*>(p.b), integer(p.row_b), T(p.add),
                                   static_cast<T*>(p.c), integer(p.row_c));
}

std::mutex mutex;
int holders = 0;
int before = 1;

}  // namespace

void multiply(const Blas& blas, DType type, const Product& p) {
  if (type == DType::f64)
    (blas.wide ? gemm<std::int64_t, double> : gemm<std::int32_t, double>)(blas.dgemm, p);
  else
    (blas.wide ? gemm<std::int64_t, float> : gemm<std::int32_t, float>)(blas.sgemm, p);
}

OneThread::OneThread(const Blas& blas) : blas_(blas) {
  if (!blas.holds()) return;
  const std::lock_guard lock(mutex);
  if (holders++ > 0) return;
  before = blas.get_threads();
  if (before != 1) blas.set_threads(1);
}

OneThread::~OneThread() {
  if (!blas_.holds()) return;
  const std::lock_guard lock(mutex);
  if (--holders == 0 && before != 1) blas_.set_threads(before);
}

}  // namespace fallline
