// An objective's loss at many points.
#pragma once
#include "fallline/objective.hpp"

namespace fallline {

// losses[i] becomes the loss at points + i·params, for every i below `count`; `request` says over
// which batch. The bits are those of one evaluation after the other.
void losses_at(const Objective& objective, Request request, const void* points, std::size_t count,
               int threads, double* losses);

}  // namespace fallline
