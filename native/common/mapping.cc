// Aligned, huge-paged mappings. Apart from what JavaScript sees of them, so that the fuzzer can do without node.

#include <sys/mman.h>

#include <new>

#include "common/arena.h"

namespace coffer {

namespace {

constexpr size_t kTouchStride = 4096;

}  // namespace

Mapping::Mapping(size_t bytes, bool prefault) {
  const size_t rounded = (bytes + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  if (rounded < bytes) throw std::bad_alloc();
  // One huge page more than needed, so that an aligned start lies inside; what is left over is unmapped again.
  const size_t mapped = rounded + kHugePageBytes;
  void* start = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) throw std::bad_alloc();
  auto* first = static_cast<uint8_t*>(start);
  const size_t lead = (kHugePageBytes - reinterpret_cast<uintptr_t>(first) % kHugePageBytes) % kHugePageBytes;
  if (lead > 0) munmap(first, lead);
  const size_t trail = mapped - lead - rounded;
  if (trail > 0) munmap(first + lead + rounded, trail);
  data_ = first + lead;
  bytes_ = rounded;
  // Advice only: without huge pages everything still works, slower.
  madvise(data_, bytes_, MADV_HUGEPAGE);
  if (prefault) {
    for (size_t offset = 0; offset < bytes_; offset += kTouchStride) {
      static_cast<volatile uint8_t*>(data_)[offset] = 0;
    }
  }
}

Mapping::~Mapping() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

}  // namespace coffer
