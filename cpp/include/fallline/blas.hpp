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
  const void* a;
  std::size_t row_a;  // from one row to the next
  bool transpose_a;
  const void* b;
  std::size_t row_b;
  bool transpose_b;
  void* c;
  std::size_t row_c;
  std::size_t m, n, k;
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
