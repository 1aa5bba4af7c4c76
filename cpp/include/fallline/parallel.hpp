// Work shared out over threads; parallel.cpp is the only file that knows how.
#pragma once
#include <algorithm>
#include <cstddef>
#include <functional>

namespace fallline {

// body(k, parts) for every k in [0, parts), at once.
void run_parts(int parts, const std::function<void(std::size_t, std::size_t)>& body);

// Work, in elements of an update, that one thread should have before another is woken.
extern const std::size_t parallel_grain;

// body(k, parts) on up to `threads` threads; on the caller's alone where there is little work.
template <class Body>
void run(std::size_t work, int threads, const Body& body) {
  const std::size_t parts = std::min(std::size_t(threads), 1 + work / parallel_grain);
  if (parts <= 1)
    body(std::size_t{0}, std::size_t{1});
  else
    run_parts(int(parts), body);
}

// each(i, k) for every i in [0, count), each thread k on a contiguous run: what one leaf fetches
// ahead at its end is the beginning of the next.
template <class Each>
void run_each(std::size_t count, std::size_t work, int threads, const Each& each) {
  run(work, int(std::min(std::size_t(threads), count)), [&](std::size_t k, std::size_t parts) {
    for (std::size_t i = count * k / parts; i < count * (k + 1) / parts; ++i) each(i, k);
  });
}

}  // namespace fallline
