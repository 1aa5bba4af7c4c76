#include "fallline/pairs.hpp"

#include <algorithm>
#include <span>

#include "fallline/dispatch.hpp"
#include "fallline/float_environment.hpp"
#include "fallline/parallel.hpp"
#include "fallline/step.hpp"

namespace fallline {
namespace {

// tile(begin, n, partials, stride) for every tile; `count` sums of the partials. `work` is what an
// element costs, in elements of an update.
template <class Tile>
Sums sum_tiles(std::size_t size, std::size_t count, std::size_t work, int threads,
               const Tile& tile) {
  thread_local std::vector<double> partials;
  const std::size_t tiles = (size + tile_size - 1) / tile_size;
  partials.resize(tiles * count);
  double* own = partials.data();
  run(size * work, threads, [&](std::size_t k, std::size_t parts) {
    const DefaultFloatEnvironment environment;
    for (std::size_t t = tiles * k / parts; t < tiles * (k + 1) / parts; ++t)
      tile(t * tile_size, std::min(tile_size, size - t * tile_size), own + t, tiles);
  });
  const DefaultFloatEnvironment environment;
  Sums sums;
  for (std::size_t i = 0; i < count; ++i)
    sums.push_back(tree_sum(std::span(own + i * tiles, tiles)));
  return sums;
}

}  // namespace

Sums pair_products(const Pairs& pairs, const NewPair& added, int threads) {
  const std::size_t count = products_of_pair * (pairs.count + 1) + 1;
  return sum_tiles(pairs.size, count, pairs.count + 1, threads,
                   [&](std::size_t begin, std::size_t n, double* sums, std::size_t stride) {
                     active_kernels().pair_products(pairs, added, begin, n, sums, stride);
                   });
}

Sums pair_combination(const Pairs& pairs, const Combination& wanted, int threads) {
  return sum_tiles(pairs.size, 2, pairs.count + 1, threads,
                   [&](std::size_t begin, std::size_t n, double* sums, std::size_t stride) {
                     active_kernels().pair_combination(pairs, wanted, begin, n, sums, stride);
                   });
}

double dot(DType type, std::size_t size, const void* a, const void* b, int threads) {
  return sum_tiles(size, 1, 1, threads,
                   [&](std::size_t begin, std::size_t n, double* sums, std::size_t) {
                     *sums = active_kernels().dot(type, begin, n, a, b);
                   })[0];
}

}  // namespace fallline
