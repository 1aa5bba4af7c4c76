#include "fallline/curve.hpp"

#include "fallline/leaves.hpp"

namespace fallline {

std::size_t Curve::work(std::size_t size) const { return size * (16 + 2 * params()) + 128; }

double Curve::accumulate(const Request& request, int threads, Workspace& workspace) const {
  const CurveBatch batch{&points_, &request, model_};
  return sum_leaves(*this, request, DType::f64, curve_scratch(params()), threads, workspace,
                    [&](std::size_t begin, std::size_t n, void* partial, double* scratch) {
                      return active_objectives().curve_points(
                          batch, begin, n, static_cast<double*>(partial), scratch);
                    });
}

}  // namespace fallline
