// Locked pages for keys; see secret_memory.h.

#include "common/secret_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "common/coded_error.h"
#include "common/napi_util.h"

namespace coffer {
namespace {

constexpr size_t kSecretBytesMax = size_t{1} << 20;

struct Secret {
  void* start = MAP_FAILED;
  size_t bytes = 0;

  explicit Secret(size_t count) : bytes(count) {
    start = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) throw SystemError(errno, "memory for a key");
    // Both are protection beyond what is promised: RLIMIT_MEMLOCK may be small, and the daemon makes no core dumps.
    mlock(start, bytes);
    madvise(start, bytes, MADV_DONTDUMP);
    madvise(start, bytes, MADV_WIPEONFORK);
  }
  ~Secret() {
    if (start == MAP_FAILED) return;
    explicit_bzero(start, bytes);
    munmap(start, bytes);
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
};

void Release(napi_env, void*, void* hint) { delete static_cast<Secret*>(hint); }

/** allocateSecret(bytes): ArrayBuffer */
napi_value AllocateSecret(Call& call) {
  const uint64_t bytes = Uint53Of(call.env, call.arguments[0]);
  if (bytes == 0 || bytes > kSecretBytesMax) throw ArgumentError("A secret has 1 byte to 1 MiB");
  auto secret = std::make_unique<Secret>(bytes);
  napi_value buffer;
  Check(napi_create_external_arraybuffer(call.env, secret->start, bytes, Release, secret.get(), &buffer));
  secret.release();
  return buffer;
}

}  // namespace

void RegisterSecretMemory(napi_env env, napi_value exports) {
  Export<AllocateSecret>(env, exports, "allocateSecret", nullptr);
}

}  // namespace coffer
