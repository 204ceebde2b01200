// Large buffers that are mapped once, touched once and never given back while in use: fresh pages are the most
// expensive thing on a virtual machine, so everything that carries data lives in one of these.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>

namespace coffer {

/** Huge pages are 2 MiB; a mapping that starts on such a boundary can be made of them entirely. */
inline constexpr size_t kHugePageBytes = size_t{2} << 20;

/** Owns one anonymous mapping, aligned to kHugePageBytes. */
class Mapping {
 public:
  Mapping() = default;
  /** @throws std::bad_alloc when the memory can't be mapped */
  Mapping(size_t bytes, bool prefault);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  uint8_t* data() const { return data_; }
  size_t size() const { return bytes_; }

 private:
  uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
};

/** Adds allocateArena to the exports. */
void RegisterArena(napi_env env, napi_value exports);

}  // namespace coffer
