// The only file that knows OpenMP: tiles over threads.
#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include "fallline/float_environment.hpp"
#include "fallline/parallel.hpp"
#include "fallline/step.hpp"

namespace fallline {
namespace {

// What one more tensor costs beside its elements, in elements (an indirect call and cold lines).
constexpr std::size_t tensor_cost = 64;

#ifdef _OPENMP
constexpr std::size_t grain = 16 * 1024;  // below it, waking a thread costs more than it saves

std::atomic<bool> forked{false};

// In a child made by fork() the pool that libgomp keeps for the forking thread has no threads, and
// a parallel region would wait for them for ever. Pools are per thread, so the child starts its
// regions from a fresh one.
[[maybe_unused]] const bool watching_forks = [] {
#if defined(__unix__)
  pthread_atfork(nullptr, nullptr, [] { forked.store(true); });
#endif
  return true;
}();

template <class Body>
void region(int threads, const Body& body) {
#pragma omp parallel num_threads(threads)
  body(std::size_t(omp_get_thread_num()), std::size_t(omp_get_num_threads()));
}
#else
// Without OpenMP (Apple's compiler; wheels that would bring a second runtime beside torch's)
// threads are started for each step, which costs some ten times as much as waking them.
constexpr std::size_t grain = 160 * 1024;

template <class Body>
void region(int threads, const Body& body) {
  const auto parts = std::size_t(threads);
  std::vector<std::thread> others;
  std::size_t k = 1;
  try {
    for (; k < parts; ++k) others.emplace_back([&body, k, parts] { body(k, parts); });
  } catch (const std::system_error&) {  // no more threads to be had: the caller does their parts
  }
  body(std::size_t{0}, parts);
  for (; k < parts; ++k) body(k, parts);
  for (std::thread& other : others) other.join();
}
#endif

// visit(tensor, begin, n, tile, scratch) for every stretch of a tensor that one thread works on;
// it begins with the tile of that number.
template <class Visit>
void for_each_run(std::span<const Tensor> tensors, const Layout& layout, int threads,
                   const Visit& visit) {
  run(layout.work(), threads, [&](std::size_t k, std::size_t parts) {
    const DefaultFloatEnvironment environment;
    Scratch scratch;
    const auto [last, last_element] = layout.part(tensors, k + 1, parts);
    auto [i, begin] = layout.part(tensors, k, parts);
    for (; i < tensors.size() && i <= last; ++i, begin = 0) {
      if (tensors[i].grad == nullptr) continue;
      const std::size_t end = i == last ? last_element : tensors[i].size;
      if (begin < end)
        visit(i, begin, end - begin, layout.tiles_before(i) + begin / tile_size, scratch);
    }
  });
}

// Totals per cohort of the tiles' sums; the last third of `partials` is the tree's workspace.
void total_sums(std::span<const Tensor> tensors, const Layout& layout,
                std::vector<double>& partials, std::span<double> sums) {
  double* workspace = partials.data() + max_sums * layout.tiles();
  for (std::size_t c = 0; c < sums.size() / max_sums; ++c)
    for (std::size_t s = 0; s < max_sums; ++s) {
      const double* tile_sums = partials.data() + s * layout.tiles();
      double* end = workspace;
      for (std::size_t i = 0; i < tensors.size(); ++i)
        if (tensors[i].cohort == c)
          end = std::copy(tile_sums + layout.tiles_before(i),
                          tile_sums + layout.tiles_before(i + 1), end);
      sums[c * max_sums + s] = tree_sum({workspace, end});
    }
}

void keep_smallest(std::atomic<std::size_t>& smallest, std::size_t candidate) {
  std::size_t seen = smallest.load(std::memory_order_relaxed);
  while (candidate < seen && !smallest.compare_exchange_weak(seen, candidate)) {
  }
}

}  // namespace

const std::size_t parallel_grain = grain;

void run_parts(int parts, const std::function<void(std::size_t, std::size_t)>& body) {
#ifdef _OPENMP
  if (forked.load(std::memory_order_relaxed))
    return std::thread([&] { region(parts, body); }).join();
#endif
  region(parts, body);
}

void Layout::rebuild(std::span<const Tensor> tensors) {
  work_.assign(1, 0);
  tiles_.assign(1, 0);
  for (const Tensor& t : tensors) {
    const bool present = t.grad != nullptr && t.size > 0;
    work_.push_back(work_.back() + (present ? t.size + tensor_cost : 0));
    tiles_.push_back(tiles_.back() + (present ? (t.size + tile_size - 1) / tile_size : 0));
  }
}

Layout::Position Layout::part(std::span<const Tensor> tensors, std::size_t k,
                              std::size_t parts) const {
  const std::size_t target =
      work() / parts * k + work() % parts * k / parts;  // work()·k/parts without overflow
  if (target >= work()) return {tensors.size(), 0};
  const auto after = std::upper_bound(work_.begin(), work_.end(), target);
  const std::size_t i = std::size_t(after - work_.begin()) - 1;
  const std::size_t element = std::min(target - work_[i], tensors[i].size);
  return {i, element / tile_size * tile_size};
}

std::size_t update(const KernelTable& kernels, std::span<const Tensor> tensors,
                   std::span<const Cohort> cohorts, const Layout& layout, int threads,
                   std::vector<double>& partials, std::span<double> sums) {
  const bool summing = !sums.empty();
  if (summing) partials.assign(layout.tiles() * (max_sums + 1), 0.0);

  std::atomic<std::size_t> first_nonfinite{no_tensor};
  for_each_run(
      tensors, layout, threads,
      [&](std::size_t i, std::size_t begin, std::size_t n, std::size_t tile, Scratch& scratch) {
        double* tile_sums = summing ? partials.data() + tile : nullptr;
        if (kernels.update(tensors[i], cohorts[tensors[i].cohort], begin, n, scratch, tile_sums,
                           layout.tiles()))
          keep_smallest(first_nonfinite, i);
      });

  if (summing) total_sums(tensors, layout, partials, sums);
  return first_nonfinite;
}

SumSquares sum_squares(const KernelTable& kernels, std::span<const Tensor> tensors, double factor,
                       const Layout& layout, int threads, std::vector<double>& partials) {
  partials.resize(layout.tiles());
  std::atomic<std::size_t> first_nonfinite{no_tensor};
  for_each_run(
      tensors, layout, threads,
      [&](std::size_t i, std::size_t begin, std::size_t n, std::size_t tile, Scratch& scratch) {
        bool finite = true;
        for (const std::size_t end = begin + n; begin < end; begin += tile_size, ++tile)
          partials[tile] = kernels.sum_squares(tensors[i], factor, begin,
                                               std::min(tile_size, end - begin), scratch, &finite);
        if (!finite) keep_smallest(first_nonfinite, i);
      });
  return {tree_sum(partials), first_nonfinite};
}

double tree_sum(std::span<double> values) {
  std::size_t n = values.size();
  if (n == 0) return 0.0;
  while (n > 1) {
    const std::size_t pairs = n / 2;
    for (std::size_t i = 0; i < pairs; ++i) values[i] = values[2 * i] + values[2 * i + 1];
    if (n % 2 == 1) values[pairs] = values[n - 1];
    n = pairs + n % 2;
  }
  return values[0];
}

}  // namespace fallline
