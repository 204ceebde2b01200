// AES-256-GCM in two implementations that give the same bytes, and the key derivation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace coffer {

inline constexpr size_t kKeyBytes = 32;
inline constexpr size_t kNonceBytes = 12;

enum class CipherKind { kIpsecMb, kOpenSsl };

/** libipsec-mb where the processor has AES instructions, else OpenSSL. */
CipherKind BestCipher();
/** For tests and comparison; kIpsecMb is ignored where it can't work. */
void SetCipher(CipherKind kind);
CipherKind CurrentCipher();

/** One message, sealed or opened piece by piece: what is sealed may lie in several places, and is hot in the cache. */
class GcmMessage {
 public:
  enum class Direction { kSeal, kOpen };

  GcmMessage(Direction direction, const uint8_t* key, const uint8_t* nonce, std::span<const uint8_t> associated);
  ~GcmMessage();
  GcmMessage(const GcmMessage&) = delete;
  GcmMessage& operator=(const GcmMessage&) = delete;

  /** The next bytes; `to` may be their own place. */
  void Update(std::span<const uint8_t> from, uint8_t* to);
  /** After the last one. Writes kTagBytes to `tag`. */
  void Seal(uint8_t* tag);
  /** After the last one. False when the tag doesn't match: what came out is rubbish then. */
  bool Open(const uint8_t* tag);

 private:
  struct State;
  /** Key schedules are large and aligned: a thread has one, for one message at a time. */
  State& state_;
  Direction direction_;
};

/** `to` may be `from`. Writes kTagBytes to `tag`. */
void Encrypt(const uint8_t* key, const uint8_t* nonce, std::span<const uint8_t> associated,
             std::span<const uint8_t> from, uint8_t* to, uint8_t* tag);
/** `to` may be `from`. False when the tag doesn't match; `to` holds rubbish then. */
bool Decrypt(const uint8_t* key, const uint8_t* nonce, std::span<const uint8_t> associated,
             std::span<const uint8_t> from, uint8_t* to, const uint8_t* tag);

/** HKDF-SHA256, one block of output: the key of a block file from the content encryption key and the file's salt. */
void DeriveBlockKey(const uint8_t* content_key, std::span<const uint8_t> salt, uint8_t* out);

}  // namespace coffer
