#include "fallline/objective.hpp"

#include "fallline/dispatch.hpp"
#include "fallline/float_environment.hpp"

namespace fallline {

double Objective::evaluate(Request request, int threads, Workspace& workspace) const {
  const DefaultFloatEnvironment environment;
  const double size = double(request.size);
  request.scale = terms_.mean ? 1.0 / size : 1.0;
  double loss = request.scale * accumulate(request, threads, workspace);
  // A batch's share of the penalty, so that the shares of an epoch's sums add up to one.
  const double penalty = terms_.mean ? terms_.l2 : terms_.l2 * (size / double(samples_));
  if (penalty == 0.0) return loss;
  for (const auto& [begin, end] : terms_.penalized)
    loss += 0.5 * penalty *
            active_objectives().penalize(type_, begin, end, penalty, request.phi,
                                         request.direction ? request.direction : request.phi,
                                         request.product);
  return loss;
}

}  // namespace fallline
