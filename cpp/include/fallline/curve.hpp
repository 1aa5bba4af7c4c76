// A curve f(x; φ) through points (x, y), fitted by squared errors.
#pragma once
#include "fallline/objective.hpp"
#include "fallline/points.hpp"

namespace fallline {

class Curve : public Objective {
 public:
  Curve(const Points& points, int model, Terms terms)
      : Objective(points.type, points.count, points.params, std::move(terms)),
        points_(points),
        model_(model) {}

  std::size_t work(std::size_t size) const override;

 private:
  double accumulate(const Request& request, int threads, Workspace& workspace) const override;

  Points points_;
  int model_;
};

}  // namespace fallline
