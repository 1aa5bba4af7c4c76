// A generalised linear model over dense or sparse rows.
#pragma once
#include "fallline/objective.hpp"
#include "fallline/samples.hpp"

namespace fallline {

class LinearModel : public Objective {
 public:
  LinearModel(const Samples& samples, int head, Terms terms)
      : Objective(samples.type, samples.rows, samples.params(), std::move(terms)),
        samples_(samples),
        head_(head) {}

  std::size_t work(std::size_t size) const override;
  bool is_along_rows() const override;
  void along_row(const Request& request, RowGradient& gradient) const override;
  double loss_along_row(const RowGradient& gradient) const override;

 private:
  double accumulate(const Request& request, int threads, Workspace& workspace) const override;
  double accumulate_sparse(const Request& request, int threads, Workspace& workspace) const;

  Samples samples_;
  int head_;
};

}  // namespace fallline
