#include "fallline/network.hpp"

#include <algorithm>
#include <cstring>
#include <span>

#include "fallline/dispatch.hpp"
#include "fallline/float_environment.hpp"
#include "fallline/network_tile.hpp"
#include "fallline/parallel.hpp"
#include "fallline/step.hpp"

namespace fallline {
namespace {

// Rows that pass through together: enough for the products, few enough for a cache.
constexpr std::size_t chunk_size = 512;
constexpr std::size_t loss_rows = 64;    // rows whose losses one thread sums
constexpr std::size_t macs_a_unit = 32;  // multiplications that take as long as an update
constexpr std::size_t lines_apart = 64;  // bytes that arrays' beginnings are multiples of

std::size_t rounded_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

// Columns of a product that are formed at a time. Where the cuts lie depends on sizes alone, and so
// do BLAS's bits. Products of 64 columns are as fast as whole ones (measured: 64 × 1024 × 1024).
struct Cut {
  std::size_t width, tile, count;

  Cut(std::size_t columns, std::size_t macs) : width(columns) {
    const std::size_t parts = std::clamp<std::size_t>(macs >> 19, 1, (width + 15) / 16);
    const std::size_t least = std::clamp<std::size_t>(rounded_up(width / 16, 16), 16, 64);
    tile = std::max(rounded_up((width + parts - 1) / parts, 16), least);
    count = (width + tile - 1) / tile;
  }
};

// Of a hidden layer; the last two only for a Hessian-vector product.
template <class T>
struct Hidden {
  T *value, *slope, *tangent, *bend;
};

// A point's way through the network, chunk by chunk. R is Pearlmutter's (1994) derivative in the
// request's direction; `tangent` names R of what stands beside it.
template <class T>
class Pass {
 public:
  Pass(const NetworkPlan& plan, const Request& request, int threads, Workspace& workspace)
      : plan_(plan),
        q_(request),
        values_(request),
        threads_(threads),
        phi_(static_cast<const T*>(request.phi)),
        v_(static_cast<const T*>(request.direction)),
        out_(static_cast<T*>(request.product)) {
    values_.direction = nullptr;
    lay_out(workspace);
  }

  double total() {
    double loss = 0;
    for (begin_ = 0; begin_ < q_.size; begin_ += chunk_size) {
      rows_ = std::min(chunk_size, q_.size - begin_);
      gather();
      for (std::size_t k = 0; k < plan_.layers.size(); ++k) forward(k);
      loss += losses();
      if (out_ != nullptr) backward();
    }
    return loss;
  }

 private:
  static constexpr DType type = sizeof(T) == sizeof(double) ? DType::f64 : DType::f32;

  void lay_out(Workspace& workspace) {
    const std::size_t rows = std::min(chunk_size, q_.size);
    const std::size_t outputs = plan_.samples.outputs;
    const std::size_t copies = v_ == nullptr ? 1 : 2;
    std::size_t widest = 0, hidden = 0;
    for (std::size_t k = 1; k < plan_.layers.size(); ++k) {
      widest = std::max(widest, plan_.layers[k].inputs);
      hidden += plan_.layers[k].inputs;
    }
    scratch_size_ = rounded_up(scratch_size(plan_.samples, 0), 8);
    const std::size_t numbers =
        (q_.batch ? plan_.samples.features : 0) + 2 * copies * (hidden + widest) + copies * outputs;
    const std::size_t arrays = 4 * plan_.layers.size() + 8;
    workspace.resize(std::size_t(threads_) * scratch_size_ +
                     (rows * numbers * sizeof(T) + (arrays + 1) * lines_apart) / sizeof(double));

    const auto address = reinterpret_cast<std::uintptr_t>(workspace.data());
    double* memory =
        workspace.data() + (lines_apart - address % lines_apart) % lines_apart / sizeof(double);
    scratch_ = memory;
    char* next = reinterpret_cast<char*>(memory + std::size_t(threads_) * scratch_size_);
    const auto take = [&](std::size_t width) {
      T* array = reinterpret_cast<T*>(next);
      next += rounded_up(rows * width * sizeof(T), lines_apart);
      return array;
    };
    const auto take_tangent = [&](std::size_t width) { return v_ ? take(width) : nullptr; };
    if (q_.batch != nullptr) gathered_ = take(plan_.samples.features);
    for (std::size_t k = 1; k < plan_.layers.size(); ++k) {
      const std::size_t width = plan_.layers[k].inputs;
      hidden_.push_back({take(width), take(width), take_tangent(width), take_tangent(width)});
    }
    outputs_ = take(outputs);
    v_outputs_ = take_tangent(outputs);
    for (int i = 0; i < 2; ++i) {
      delta_[i] = take(widest);
      v_delta_[i] = take_tangent(widest);
    }
  }

  // The chunk's samples in consecutive rows: where they lie, or copied there.
  void gather() {
    const std::size_t features = plan_.samples.features;
    const T* x = static_cast<const T*>(plan_.samples.values);
    if (q_.batch == nullptr) {
      x_ = x + begin_ * features;
      return;
    }
    x_ = gathered_;
    run(rows_ * features / 4, threads_, [&](std::size_t k, std::size_t of) {
      for (std::size_t r = rows_ * k / of; r < rows_ * (k + 1) / of; ++r)
        std::memcpy(gathered_ + r * features, x + q_.sample(begin_ + r) * features,
                    features * sizeof(T));
    });
  }

  // form(first, last), then finish(tile), for every tile of columns. Each thread has a run of them,
  // the same one every time: taken up one by one they were 5 % slower.
  template <class Form, class Finish>
  void do_tiles(const Cut& cut, std::size_t macs, const Form& form, const Finish& finish) const {
    const bool at_once = plan_.blas.holds();
    if (!at_once) form(std::size_t{0}, cut.width);
    run(macs / macs_a_unit, std::min(threads_, int(cut.count)), [&](std::size_t k, std::size_t of) {
      const DefaultFloatEnvironment environment;
      for (std::size_t i = cut.count * k / of; i < cut.count * (k + 1) / of; ++i) {
        const std::size_t first = i * cut.tile, last = std::min(first + cut.tile, cut.width);
        if (at_once) form(first, last);
        finish(LayerTile{type, rows_, cut.width, first, last});
      }
    });
  }

  // Units [first, last) of z = a wᵀ, rows of all that enters times a layer's weights.
  void apply(const NetworkLayer& layer, const T* a, const T* parameters, T* z, std::size_t first,
             std::size_t last, bool add) const {
    const T* w = parameters + layer.weight + first * layer.inputs;
    multiply(plan_.blas, type,
             {.a = a,
              .row_a = layer.inputs,
              .b = w,
              .row_b = layer.inputs,
              .transpose_b = true,
              .c = z + first,
              .row_c = layer.outputs,
              .m = rows_,
              .n = last - first,
              .k = layer.inputs,
              .add = add});
  }

  // Inputs [first, last) of δ w.
  void apply_back(const NetworkLayer& layer, const T* delta, const T* parameters, T* to,
                  std::size_t first, std::size_t last, bool add) const {
    multiply(plan_.blas, type,
             {.a = delta,
              .row_a = layer.outputs,
              .b = parameters + layer.weight + first,
              .row_b = layer.inputs,
              .c = to + first,
              .row_c = layer.inputs,
              .m = rows_,
              .n = last - first,
              .k = layer.outputs,
              .add = add});
  }

  // The weights' share of the product, δᵀ a: units [first, last), or inputs.
  void add_weights(const NetworkLayer& layer, const T* delta, const T* a, bool by_units,
                   std::size_t first, std::size_t last, bool add) const {
    T* out = out_ + layer.weight;
    multiply(plan_.blas, type,
             {.a = by_units ? delta + first : delta,
              .row_a = layer.outputs,
              .transpose_a = true,
              .b = by_units ? a : a + first,
              .row_b = layer.inputs,
              .c = out + first * (by_units ? layer.inputs : 1),
              .row_c = layer.inputs,
              .m = by_units ? last - first : layer.outputs,
              .n = by_units ? layer.inputs : last - first,
              .k = rows_,
              .add = add});
  }

  const T* into(std::size_t k) const { return k == 0 ? x_ : hidden_[k - 1].value; }
  const T* tangent_into(std::size_t k) const { return k == 0 ? nullptr : hidden_[k - 1].tangent; }
  std::size_t macs(const NetworkLayer& layer) const { return rows_ * layer.inputs * layer.outputs; }

  void forward(std::size_t k) {
    const NetworkLayer& layer = plan_.layers[k];
    const bool is_last = k == hidden_.size();
    const T *a = into(k), *v_a = tangent_into(k);
    T* z = is_last ? outputs_ : hidden_[k].value;
    T* v_z = is_last ? v_outputs_ : hidden_[k].tangent;
    do_tiles(
        Cut(layer.outputs, macs(layer)), macs(layer) * (v_ ? 3 : 1),
        [&](std::size_t first, std::size_t last) {
          apply(layer, a, phi_, z, first, last, false);
          if (v_ == nullptr) return;
          apply(layer, a, v_, v_z, first, last, false);
          if (v_a != nullptr) apply(layer, v_a, phi_, v_z, first, last, true);
        },
        [&](const LayerTile& tile) {
          if (is_last) return;
          active_objectives().activate({tile, plan_.activation, phi_ + layer.bias, z,
                                        hidden_[k].slope, v_ ? v_ + layer.bias : nullptr, v_z,
                                        hidden_[k].bend});
        });
  }

  double losses() {
    const NetworkLayer& layer = plan_.layers.back();
    const OutputLosses batch{&plan_.samples,
                             &values_,
                             v_ ? &q_ : nullptr,
                             plan_.head,
                             begin_,
                             phi_ + layer.bias,
                             v_ ? v_ + layer.bias : nullptr,
                             outputs_,
                             v_outputs_};
    double sums[chunk_size / loss_rows];
    const std::size_t count = (rows_ + loss_rows - 1) / loss_rows;
    // A loss is an exponential or two an output, some ten updates.
    run_each(count, rows_ * layer.outputs * 10, threads_, [&](std::size_t i, std::size_t k) {
      const DefaultFloatEnvironment environment;
      sums[i] = active_objectives().output_losses(
          batch, i * loss_rows, std::min((i + 1) * loss_rows, rows_), scratch_ + k * scratch_size_);
    });
    return tree_sum(std::span(sums, count));
  }

  void backward() {
    T *delta = outputs_, *v_delta = v_outputs_;
    sum_outputs();
    for (std::size_t k = hidden_.size(); k > 0; --k) {
      T *to = delta_[k % 2], *v_to = v_delta_[k % 2];
      weights(k, delta, v_delta);
      pull(k, delta, v_delta, to, v_to);
      delta = to;
      v_delta = v_to;
    }
    weights(0, delta, v_delta);
  }

  // The last biases' share.
  void sum_outputs() {
    const NetworkLayer& layer = plan_.layers.back();
    do_tiles(
        Cut(layer.outputs, 0), 0, [](std::size_t, std::size_t) {},
        [&](const LayerTile& tile) {
          active_objectives().pull_back({tile, v_ ? v_outputs_ : outputs_, nullptr, nullptr,
                                         nullptr, out_ + layer.bias, begin_ > 0});
        });
  }

  // A layer's weights' share: δᵀ a, or R{δ}ᵀ a + δᵀ R{a}. The longer side is cut.
  void weights(std::size_t k, const T* delta, const T* v_delta) {
    const NetworkLayer& layer = plan_.layers[k];
    const T *a = into(k), *v_a = tangent_into(k);
    const bool by_units = layer.outputs >= layer.inputs;
    do_tiles(
        Cut(by_units ? layer.outputs : layer.inputs, macs(layer)), macs(layer) * (v_ ? 2 : 1),
        [&](std::size_t first, std::size_t last) {
          add_weights(layer, v_ ? v_delta : delta, a, by_units, first, last, begin_ > 0);
          if (v_a != nullptr) add_weights(layer, delta, v_a, by_units, first, last, true);
        },
        [](const LayerTile&) {});
  }

  // Through a layer's weights and the activations before it: the next δ, and R{δ} w + δ v.
  void pull(std::size_t k, const T* delta, const T* v_delta, T* to, T* v_to) {
    const NetworkLayer& layer = plan_.layers[k];
    const Hidden<T>& before = hidden_[k - 1];
    do_tiles(
        Cut(layer.inputs, macs(layer)), macs(layer) * (v_ ? 3 : 1),
        [&](std::size_t first, std::size_t last) {
          apply_back(layer, delta, phi_, to, first, last, false);
          if (v_ == nullptr) return;
          apply_back(layer, v_delta, phi_, v_to, first, last, false);
          apply_back(layer, delta, v_, v_to, first, last, true);
        },
        [&](const LayerTile& tile) {
          active_objectives().pull_back({tile, to, before.slope, v_to, before.bend,
                                         out_ + plan_.layers[k - 1].bias, begin_ > 0});
        });
  }

  const NetworkPlan& plan_;
  const Request& q_;
  Request values_;  // without the direction
  int threads_;
  const T* phi_;
  const T* v_;
  T* out_;

  std::size_t begin_ = 0, rows_ = 0;  // of the chunk
  const T* x_ = nullptr;
  T* gathered_ = nullptr;
  std::vector<Hidden<T>> hidden_;
  T *outputs_ = nullptr, *v_outputs_ = nullptr;  // then δ and R{δ} of the last layer
  T *delta_[2] = {}, *v_delta_[2] = {};
  double* scratch_ = nullptr;
  std::size_t scratch_size_ = 0;
};

}  // namespace

NetworkPlan::NetworkPlan(const Samples& read, int head_index, int activation_index,
                         const Blas& products, const std::vector<std::size_t>& widths)
    : samples(read), head(head_index), activation(activation_index), blas(products) {
  for (std::size_t k = 0; k + 1 < widths.size(); ++k) {
    const std::size_t bias = params + widths[k] * widths[k + 1];
    layers.push_back({widths[k], widths[k + 1], params, bias});
    params = bias + widths[k + 1];
  }
}

std::size_t Network::work(std::size_t size) const { return 3 * size * plan_.params / macs_a_unit; }

double Network::accumulate(const Request& request, int threads, Workspace& workspace) const {
  const OneThread held(plan_.blas);
  return type() == DType::f64 ? Pass<double>(plan_, request, threads, workspace).total()
                              : Pass<float>(plan_, request, threads, workspace).total();
}

}  // namespace fallline
