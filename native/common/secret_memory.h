// Keys as objects with a life: bytes in locked pages that only native code reads, until they are wiped. Any use after
// that throws.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

namespace coffer {

/** Bytes that are never swapped where the limits allow it, in no core dump, and wiped before they are given back. */
class Secret {
 public:
  /** Zeros, to be filled by the maker. @param bytes 1 to 1 MiB. @throws ArgumentError, CodedError with the errno's name */
  explicit Secret(size_t bytes);
  ~Secret();
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;

  size_t size() const { return bytes_; }
  bool is_wiped() const { return is_wiped_; }
  /** @throws CodedError KEY_WIPED */
  std::span<const uint8_t> bytes() const;
  /** For the maker, which fills it. */
  std::span<uint8_t> writable() { return {static_cast<uint8_t*>(start_), bytes_}; }
  /** Idempotent. */
  void Wipe();

 private:
  void* start_;
  size_t bytes_;
  bool is_wiped_ = false;
};

/** A copy for one job, which goes with the job: the secret itself may be wiped while the job waits. */
template <size_t kBytes>
class SecretCopy {
 public:
  SecretCopy() = default;
  SecretCopy(const SecretCopy&) = default;
  SecretCopy& operator=(const SecretCopy&) = default;
  ~SecretCopy() { explicit_bzero(bytes_, kBytes); }

  void Fill(std::span<const uint8_t> from) { std::memcpy(bytes_, from.data(), kBytes); }
  void Wipe() { explicit_bzero(bytes_, kBytes); }
  const uint8_t* data() const { return bytes_; }

 private:
  uint8_t bytes_[kBytes] = {};
};

/** Whether a key consists of zeros, which is what wiped memory looks like: never a key that anything was sealed with. */
bool IsAllZero(std::span<const uint8_t> bytes);

/** The bytes of a secret that JavaScript holds. @throws ArgumentError, CodedError KEY_WIPED */
std::span<const uint8_t> SecretBytesOf(napi_env env, napi_value value, size_t bytes_expected);
const Secret& SecretOf(napi_env env, napi_value value);
/** Hands a secret over to JavaScript, as a handle. */
napi_value MakeSecret(napi_env env, std::unique_ptr<Secret> secret);

/** Adds createSecret, randomSecret, wipeSecret, isSecretWiped and secretsEqual to the exports. */
void RegisterSecretMemory(napi_env env, napi_value exports);

}  // namespace coffer
