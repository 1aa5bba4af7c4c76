#include "fallline/loss_surface.hpp"

#include <exception>
#include <mutex>

#include "fallline/parallel.hpp"
#include "fallline/types.hpp"

namespace fallline {

void losses_at(const Objective& objective, Request request, const void* points, std::size_t count,
               int threads, double* losses) {
  request.direction = nullptr;
  request.product = nullptr;
  const std::size_t bytes = objective.params() * item_size[int(objective.type())];
  const auto loss = [&](std::size_t i, int share, Workspace& workspace) {
    Request own = request;
    own.phi = static_cast<const char*>(points) + i * bytes;
    losses[i] = objective.evaluate(own, share, workspace);
  };
  std::vector<Workspace> workspaces((std::size_t(threads)));
  if (count < std::size_t(threads)) {  // all threads share each evaluation
    for (std::size_t i = 0; i < count; ++i) loss(i, threads, workspaces[0]);
    return;
  }

  // A few of them at a time, of some microseconds.
  const std::size_t work = objective.work(request.size);
  const std::size_t run_length = std::clamp<std::size_t>(parallel_grain / (work + 1), 1, count);
  const std::size_t runs = (count + run_length - 1) / run_length;
  std::exception_ptr failure;  // out of memory; it must not leave a thread
  std::mutex failing;
  run_each(runs, work * count, threads, [&](std::size_t k, std::size_t thread) {
    try {
      const std::size_t end = std::min((k + 1) * run_length, count);
      for (std::size_t i = k * run_length; i < end; ++i) loss(i, 1, workspaces[thread]);
    } catch (...) {
      const std::lock_guard lock(failing);
      failure = std::current_exception();
    }
  });
  if (failure) std::rethrow_exception(failure);
}

}  // namespace fallline
