// Aligned, huge-paged mappings and their face in JavaScript.

#include "common/arena.h"

#include <sys/mman.h>

#include <memory>
#include <new>

#include "common/napi_util.h"

namespace coffer {

namespace {

constexpr size_t kTouchStride = 4096;

void Release(napi_env env, void*, void* hint) {
  auto* mapping = static_cast<Mapping*>(hint);
  int64_t adjusted = 0;
  napi_adjust_external_memory(env, -static_cast<int64_t>(mapping->size()), &adjusted);
  delete mapping;
}

/** allocateArena(bytes, prefault): ArrayBuffer */
napi_value AllocateArena(Call& call) {
  const uint64_t bytes = Uint53Of(call.env, call.arguments[0]);
  if (bytes == 0) throw ArgumentError("An arena has at least one byte");
  auto mapping = std::make_unique<Mapping>(bytes, BoolOf(call.env, call.arguments[1]));
  napi_value buffer;
  Check(napi_create_external_arraybuffer(call.env, mapping->data(), bytes, Release, mapping.get(), &buffer));
  int64_t adjusted = 0;
  napi_adjust_external_memory(call.env, static_cast<int64_t>(mapping->size()), &adjusted);
  mapping.release();
  return buffer;
}

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

void RegisterArena(napi_env env, napi_value exports) {
  Export<AllocateArena>(env, exports, "allocateArena", nullptr);
}

}  // namespace coffer
