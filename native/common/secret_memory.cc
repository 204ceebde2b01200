// Locked pages for keys; see secret_memory.h.

#include "common/secret_memory.h"

#include <sys/mman.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>

#include "common/coded_error.h"
#include "common/napi_util.h"

namespace coffer {
namespace {

constexpr size_t kSecretBytesMax = size_t{1} << 20;

/** JavaScript's handle points to this. The mark tells it from the addon's other handles. */
struct Handle {
  static constexpr uint64_t kMark = 0x5345435245543031;
  uint64_t mark = kMark;
  std::unique_ptr<Secret> secret;
};

Secret& HeldBy(napi_env env, napi_value value) {
  napi_valuetype type;
  Check(napi_typeof(env, value, &type));
  if (type != napi_external) throw ArgumentError("A secret is expected");
  void* data = nullptr;
  Check(napi_get_value_external(env, value, &data));
  auto* handle = static_cast<Handle*>(data);
  if (handle == nullptr || handle->mark != Handle::kMark) throw ArgumentError("A secret is expected");
  return *handle->secret;
}

void Release(napi_env, void* data, void*) { delete static_cast<Handle*>(data); }

/** createSecret(bytes): takes them over; where they came from they are wiped */
napi_value CreateSecret(Call& call) {
  const auto from = BytesOf(call.env, call.arguments[0]);
  if (IsAllZero(from)) throw CodedError("KEY_UNUSABLE", "A key of zeros is none");
  auto secret = std::make_unique<Secret>(from.size());
  std::ranges::copy(from, secret->writable().begin());
  explicit_bzero(from.data(), from.size());
  return MakeSecret(call.env, std::move(secret));
}

/** randomSecret(bytes): from the kernel's generator */
napi_value RandomSecret(Call& call) {
  auto secret = std::make_unique<Secret>(Uint53Of(call.env, call.arguments[0]));
  auto rest = secret->writable();
  while (!rest.empty()) {
    const ssize_t got = getrandom(rest.data(), rest.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw SystemError(errno, "getrandom");
    rest = rest.subspan(static_cast<size_t>(got));
  }
  return MakeSecret(call.env, std::move(secret));
}

/** wipeSecret(secret) */
napi_value WipeSecret(Call& call) {
  HeldBy(call.env, call.arguments[0]).Wipe();
  return MakeUndefined(call.env);
}

/** isSecretWiped(secret) */
napi_value IsSecretWiped(Call& call) {
  return MakeBool(call.env, HeldBy(call.env, call.arguments[0]).is_wiped());
}

/** secretsEqual(one, other) */
napi_value SecretsEqual(Call& call) {
  const auto one = SecretOf(call.env, call.arguments[0]).bytes();
  const auto other = SecretOf(call.env, call.arguments[1]).bytes();
  if (one.size() != other.size()) return MakeBool(call.env, false);
  uint8_t difference = 0;
  for (size_t at = 0; at < one.size(); at++) difference |= one[at] ^ other[at];
  return MakeBool(call.env, difference == 0);
}

}  // namespace

Secret::Secret(size_t bytes) : bytes_(bytes) {
  if (bytes == 0 || bytes > kSecretBytesMax) throw ArgumentError("A secret has 1 byte to 1 MiB");
  start_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start_ == MAP_FAILED) throw SystemError(errno, "memory for a key");
  // All are protection beyond what is promised: RLIMIT_MEMLOCK may be small, and the daemon makes no core dumps.
  mlock(start_, bytes_);
  madvise(start_, bytes_, MADV_DONTDUMP);
  madvise(start_, bytes_, MADV_WIPEONFORK);
}

Secret::~Secret() {
  Wipe();
  munmap(start_, bytes_);
}

std::span<const uint8_t> Secret::bytes() const {
  if (is_wiped_) throw CodedError("KEY_WIPED", "The key has been wiped");
  return {static_cast<const uint8_t*>(start_), bytes_};
}

void Secret::Wipe() {
  explicit_bzero(start_, bytes_);
  is_wiped_ = true;
}

bool IsAllZero(std::span<const uint8_t> bytes) {
  uint8_t any = 0;
  for (const uint8_t byte : bytes) any |= byte;
  return any == 0;
}

const Secret& SecretOf(napi_env env, napi_value value) { return HeldBy(env, value); }

std::span<const uint8_t> SecretBytesOf(napi_env env, napi_value value, size_t bytes_expected) {
  const auto bytes = HeldBy(env, value).bytes();
  if (bytes.size() != bytes_expected) throw ArgumentError("A secret of another length is expected");
  return bytes;
}

napi_value MakeSecret(napi_env env, std::unique_ptr<Secret> secret) {
  auto handle = std::make_unique<Handle>();
  handle->secret = std::move(secret);
  napi_value value;
  Check(napi_create_external(env, handle.get(), Release, nullptr, &value));
  handle.release();
  return value;
}

void RegisterSecretMemory(napi_env env, napi_value exports) {
  Export<CreateSecret>(env, exports, "createSecret", nullptr);
  Export<RandomSecret>(env, exports, "randomSecret", nullptr);
  Export<WipeSecret>(env, exports, "wipeSecret", nullptr);
  Export<IsSecretWiped>(env, exports, "isSecretWiped", nullptr);
  Export<SecretsEqual>(env, exports, "secretsEqual", nullptr);
}

}  // namespace coffer
