// One mapping a thread, made when its first job asks.

#include "data_path/thread_memory.h"

namespace coffer {

ThreadMemory::ThreadMemory() : mapping_((kBatchRegionsMax + 3) * kRegionBytesMax + kPageBytes, true) {}

ThreadMemory& ThreadMemory::Get() {
  thread_local ThreadMemory memory;
  return memory;
}

}  // namespace coffer
