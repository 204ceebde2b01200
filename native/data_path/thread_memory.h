// The buffers that a pool thread keeps from job to job: page-aligned for O_DIRECT, touched once, all in one mapping so
// that whole huge pages are used up.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/arena.h"
#include "data_path/region_format.h"

namespace coffer {

/** Regions of one batch at most; with the region's limit this bounds the buffer that every thread keeps. */
inline constexpr size_t kBatchRegionsMax = 8;

class ThreadMemory {
 public:
  /** The calling thread's own. */
  static ThreadMemory& Get();

  /** kBatchRegionsMax regions: where a batch is sealed and written from. */
  uint8_t* batch() const { return mapping_.data(); }
  /** One region: where it is read to. */
  uint8_t* input() const { return batch() + kBatchRegionsMax * kRegionBytesMax; }
  /** One region's payload: gathered or decrypted. */
  uint8_t* payload() const { return input() + kRegionBytesMax; }
  /** One region's payload: decompressed again. */
  uint8_t* expanded() const { return payload() + kRegionBytesMax; }
  /** One page: a block file's header. */
  uint8_t* page() const { return expanded() + kRegionBytesMax; }

 private:
  ThreadMemory();

  Mapping mapping_;
};

}  // namespace coffer
