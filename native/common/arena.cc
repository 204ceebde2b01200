// Mappings as JavaScript sees them.

#include "common/arena.h"

#include <memory>

#include "common/napi_util.h"

namespace coffer {

namespace {

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

void RegisterArena(napi_env env, napi_value exports) {
  Export<AllocateArena>(env, exports, "allocateArena", nullptr);
}

}  // namespace coffer
