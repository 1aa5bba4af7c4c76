#include "fallline/pairs.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <vector>

#include "pairs.hpp"

namespace fallline::python {
namespace {

namespace py = pybind11;

using Indices = std::vector<std::size_t>;

// Passes that take microseconds: other Python threads lose less in them than handing over the
// interpreter's lock costs.
constexpr std::size_t too_short_to_share = 16 * 1024;

template <class Pass>
auto without_lock(std::size_t work, const Pass& pass) {
  if (work < too_short_to_share) return pass();
  const py::gil_scoped_release release;
  return pass();
}

DType float_type(const py::array& array) {
  return array.itemsize() == sizeof(double) ? DType::f64 : DType::f32;
}

// The rows of two arrays. They were checked in Python; what is wrong here is a programming error.
class KeptPairs {
 public:
  KeptPairs(py::array s, py::array y)
      : s_(std::move(s)),
        y_(std::move(y)),
        size_(std::size_t(s_.shape(1))),
        type_(float_type(s_)) {}

  Sums products(const Indices& rows, std::size_t added, const py::array& gradient,
                const py::array& before, py::array x, double alpha, int threads) {
    const Rows old(*this, rows);
    const NewPair pair{row(s_, added), row(y_, added),   gradient.data(),
                       before.data(),  x.mutable_data(), alpha};
    return without_lock(work(rows), [&] { return pair_products(old.pairs, pair, threads); });
  }

  Sums combine(const Indices& rows, const std::vector<double>& s_weights,
               const std::vector<double>& y_weights, double g_weight, const py::array& gradient,
               const py::array& x, double alpha, std::size_t direction, py::array trial,
               int threads) {
    const Rows old(*this, rows);
    const Combination wanted{
        s_weights.data(), y_weights.data(), g_weight,           alpha,
        gradient.data(),  x.data(),         row(s_, direction), trial.mutable_data()};
    return without_lock(work(rows), [&] { return pair_combination(old.pairs, wanted, threads); });
  }

  double slope(std::size_t direction, const py::array& gradient, int threads) {
    const void* d = row(s_, direction);
    return without_lock(size_, [&] { return dot(type_, size_, d, gradient.data(), threads); });
  }

 private:
  struct Rows {
    Rows(KeptPairs& kept, const Indices& rows) {
      for (const std::size_t i : rows) {
        s.push_back(row(kept.s_, i));
        y.push_back(row(kept.y_, i));
      }
      pairs = {s.data(), y.data(), rows.size(), kept.size_, kept.type_};
    }
    std::vector<const void*> s, y;
    Pairs pairs;
  };

  static void* row(py::array& of, std::size_t i) { return of.mutable_data(py::ssize_t(i), 0); }
  std::size_t work(const Indices& rows) const { return size_ * (rows.size() + 1); }

  py::array s_, y_;
  std::size_t size_;
  DType type_;
};

}  // namespace

void bind_pairs(py::module_& m) {
  py::class_<KeptPairs>(m, "Pairs")
      .def(py::init<py::array, py::array>(), py::arg("s"), py::arg("y"))
      .def("products", &KeptPairs::products, py::arg("rows"), py::arg("added"), py::arg("gradient"),
           py::arg("before"), py::arg("x"), py::arg("alpha"), py::arg("threads"))
      .def("combine", &KeptPairs::combine, py::arg("rows"), py::arg("s_weights"),
           py::arg("y_weights"), py::arg("g_weight"), py::arg("gradient"), py::arg("x"),
           py::arg("alpha"), py::arg("direction"), py::arg("trial"), py::arg("threads"))
      .def("slope", &KeptPairs::slope, py::arg("direction"), py::arg("gradient"),
           py::arg("threads"));
}

}  // namespace fallline::python
