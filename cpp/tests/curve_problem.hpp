// Loss, gradient and Hessian-vector product of a curve through drawn points.
#pragma once
#include "fallline/curve.hpp"
#include "problem.hpp"

namespace fallline::test {

template <class T>
std::vector<T> draws(std::size_t n, std::uint64_t seed) {
  std::vector<T> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = T(draw(DType::f32, hash(seed) + i));
  return values;
}

template <class T>
std::uint64_t curve_checksum(int model) {
  const DType type = sizeof(T) == 8 ? DType::f64 : DType::f32;
  const bool gabor = active_objectives().curves[model] == std::string_view("gabor");
  Checksum checksum;
  for (std::size_t n : {1, 5, 8, 28, 33, 1000}) {
    const std::size_t params = gabor ? 2 : 10;
    const auto x = draws<T>(n, 1), y = draws<T>(n, 2), phi = draws<T>(params, 3),
               v = draws<T>(params, 4);
    const Curve curve({x.data(), y.data(), nullptr, n, params, type}, model,
                      {true, 0.1, {{0, params}}});
    std::vector<T> product(params);
    Workspace workspace;
    Request request;
    request.phi = phi.data();
    request.size = n;
    request.product = product.data();
    for (const void* direction :
         {static_cast<const void*>(nullptr), static_cast<const void*>(v.data())}) {
      request.direction = direction;
      checksum.add(curve.evaluate(request, 1, workspace));
      for (T element : product) checksum.add(double(element));
    }
  }
  return checksum.value();
}

}  // namespace fallline::test
