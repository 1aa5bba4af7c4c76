// Matrix products by a BLAS that another library carries, through its C interface.
#pragma once
#include <cstddef>

#include "fallline/types.hpp"

namespace fallline {

struct Blas {
  void* sgemm = nullptr;
  void* dgemm = nullptr;
  bool wide = false;  // its integers are int64, not int32
  int (*get_threads)() = nullptr;
  void (*set_threads)(int) = nullptr;

  // Whether it can be held to the calling thread, so that its products may run on many at once.
  bool holds() const { return set_threads != nullptr; }
};

// C = op(A) op(B), or C += …, row-major: C has m rows and n columns, k is what is summed over.
struct Product {
  const void* a = nullptr;
  std::size_t row_a = 0;  // from one row to the next
  bool transpose_a = false;
  const void* b = nullptr;
  std::size_t row_b = 0;
  bool transpose_b = false;
  void* c = nullptr;
  std::size_t row_c = 0;
  std::size_t m = 0, n = 0, k = 0;
  bool add = false;
};

void multiply(const Blas& blas, DType type, const Product& product);

// While one lives, products stay on the threads that call them. The setting is the whole process's:
// the first to come takes it, the last to leave puts back what was.
class OneThread {
 public:
  explicit OneThread(const Blas& blas);
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  const Blas& blas_;
};

}  // namespace fallline
