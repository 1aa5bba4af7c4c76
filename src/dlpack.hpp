// What is used of DLPack's C exchange API (dmlc/dlpack, version 1.3): how a framework tells where a
// tensor lies without an object made or a library linked. The layout of these structures is fixed.
#pragma once
#include <cstdint>

namespace fallline::dlpack {

inline constexpr std::int32_t cpu = 1;
inline constexpr std::int32_t pinned =
    3;  // a GPU's driver knows the pages: host memory all the same

inline constexpr std::uint8_t other = 0;  // integers, in DLPack
inline constexpr std::uint8_t floating = 2;
inline constexpr std::uint8_t brain_floating = 4;

struct Tensor {
  void* data;
  std::int32_t device;
  std::int32_t device_id;
  std::int32_t ndim;
  std::uint8_t type_code;
  std::uint8_t type_bits;
  std::uint16_t type_lanes;
  std::int64_t* shape;
  std::int64_t* strides;  // in elements
  std::uint64_t byte_offset;
};

inline const void* address(const Tensor& tensor) {
  return static_cast<const char*>(tensor.data) + tensor.byte_offset;
}

struct ExchangeApi {
  std::uint32_t major;
  std::uint32_t minor;
  ExchangeApi* previous;
  void* allocate;
  void* managed_from_object;
  void* object_from_managed;
  // Fills a tensor whose pointers are the object's own; 0, or -1 with a Python exception set.
  int (*tensor_from_object)(void* object, Tensor* tensor);
  void* current_stream;
};

inline constexpr char capsule[] = "dlpack_exchange_api";
inline constexpr char attribute[] = "__dlpack_c_exchange_api__";

}  // namespace fallline::dlpack
