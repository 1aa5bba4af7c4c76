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

}  // namespace fallline
