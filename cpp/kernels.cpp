// Compiled once per ISA. Everything lives in an anonymous namespace inside one named after the ISA
// and no std template is instantiated, so that the linker can never pick an AVX-512 copy of a
// shared function for a machine without it. The object exports one symbol.
#include "fallline/kernel_table.hpp"

namespace fallline::FALLLINE_ISA {
namespace {

using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

#include "fallline/sequence.hpp"
#include "fallline/ops.hpp"
#include "fallline/registry.hpp"
#include "fallline/codec.hpp"
#include "fallline/rounding.hpp"
#include "fallline/fetch.hpp"
#include "fallline/reduce.hpp"
#include "fallline/tile.hpp"
#include "fallline/row_step.hpp"
#include "fallline/pair_kernels.hpp"

template <int... i>
constexpr auto describe(indices<i...>) {
  struct {
    RuleInfo at[rule_count];
  } info = {{{Registered<i>::name, Registered<i>::type::coefficients, Registered<i>::type::slots,
              sums_of<typename Registered<i>::type>()}...}};
  return info;
}
constexpr auto info = describe(count_to<rule_count>::type{});

bool update(const Tensor& t, const Cohort& cohort, std::size_t begin, std::size_t n,
            Scratch& scratch, double* sums, std::size_t stride) {
  const auto run = computes_in_f64(t.param_type) ? update_run<double> : update_run<float>;
  return run(t, cohort, begin, n, scratch, sums, stride);
}

double sum_squares(const Tensor& t, double factor, std::size_t begin, std::size_t n,
                   Scratch& scratch, bool* finite) {
  const auto tile =
      computes_in_f64(t.param_type) ? sum_squares_tile<double> : sum_squares_tile<float>;
  return tile(t, factor, begin, n, scratch, finite);
}

#define FALLLINE_STRING(x) #x
#define FALLLINE_NAME(x) FALLLINE_STRING(x)
constexpr KernelTable table = {FALLLINE_NAME(FALLLINE_ISA),
                               info.at,
                               rule_count,
                               &bytes_ahead,
                               update,
                               sum_squares,
                               step_along,
                               pair_products,
                               pair_combination,
                               any_dot};

}  // namespace

const KernelTable* kernels() { return &table; }

}  // namespace fallline::FALLLINE_ISA
