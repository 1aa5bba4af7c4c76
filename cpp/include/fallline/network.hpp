// A fully connected network under a loss of its outputs.
#pragma once
#include <vector>

#include "fallline/blas.hpp"
#include "fallline/objective.hpp"
#include "fallline/samples.hpp"

namespace fallline {

struct NetworkLayer {
  std::size_t inputs, outputs;
  std::size_t weight, bias;  // where they begin among the parameters
};

struct NetworkPlan {
  NetworkPlan(const Samples& samples, int head, int activation, const Blas& blas,
              const std::vector<std::size_t>& widths);

  Samples samples;  // whose outputs are the last layer's
  int head;
  int activation;
  Blas blas;
  std::vector<NetworkLayer> layers;
  std::size_t params = 0;
};

class Network : public Objective {
 public:
  Network(NetworkPlan plan, Terms terms)
      : Objective(plan.samples.type, plan.samples.rows, plan.params, std::move(terms)),
        plan_(std::move(plan)) {}

  std::size_t work(std::size_t size) const override;

 private:
  double accumulate(const Request& request, int threads, Workspace& workspace) const override;

  NetworkPlan plan_;
};

}  // namespace fallline
