// Sums in the canonical order, plainly spelled.
#pragma once
#include <vector>

namespace fallline::test {

// Element i goes to lane i mod 32; the upper half of the lanes is added to the lower until one is
// left.
inline double plain_tile_sum(const std::vector<double>& terms) {
  std::vector<double> lane(32, 0.0);
  for (std::size_t i = 0; i < terms.size(); ++i) lane[i % 32] += terms[i];
  while (lane.size() > 1) {
    const std::size_t half = lane.size() / 2;
    for (std::size_t i = 0; i < half; ++i) lane[i] += lane[half + i];
    lane.resize(half);
  }
  return lane[0];
}

// Neighbours are added; an odd one out joins the next round.
inline double plain_tree_sum(std::vector<double> values) {
  if (values.empty()) return 0.0;
  while (values.size() > 1) {
    std::vector<double> next;
    for (std::size_t i = 0; i < values.size(); i += 2)
      next.push_back(i + 1 < values.size() ? values[i] + values[i + 1] : values[i]);
    values = next;
  }
  return values[0];
}

}  // namespace fallline::test
