// AES-256-GCM by libipsec-mb (VAES and AVX-512 where the processor has them) or by the OpenSSL inside node, whose
// headers node ships and whose symbols resolve from the running binary.

#include "data_path/cipher.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string_view>

#ifdef COFFER_HAVE_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

#include "data_path/region_format.h"

namespace coffer {

namespace {

constexpr std::string_view kBlockKeyInfo = "coffer block v1";

#ifdef COFFER_HAVE_IPSEC_MB

/** The manager holds only the table of functions here, so one serves all threads. */
struct MultiBuffer {
  MultiBuffer() : manager(alloc_mb_mgr(0)) {
    if (manager == nullptr) return;
    IMB_ARCH architecture;
    init_mb_mgr_auto(manager, &architecture);
    is_usable = (manager->features & IMB_FEATURE_AESNI) != 0 && imb_get_errno(manager) == 0;
  }
  // Never freed: jobs may still run while static objects are destroyed.
  IMB_MGR* manager;
  bool is_usable = false;
};

const MultiBuffer& Multi() {
  static const auto* const instance = new MultiBuffer();
  return *instance;
}

#endif

std::atomic<CipherKind> current = BestCipher();

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

void Require(int result) {
  if (result != 1) throw std::runtime_error("OpenSSL refused an AES-GCM operation");
}

bool IsEqual(const uint8_t* left, const uint8_t* right, size_t bytes) {
  uint8_t difference = 0;
  for (size_t index = 0; index < bytes; index++) difference |= left[index] ^ right[index];
  return difference == 0;
}

}  // namespace

CipherKind BestCipher() {
#ifdef COFFER_HAVE_IPSEC_MB
  if (Multi().is_usable) return CipherKind::kIpsecMb;
#endif
  return CipherKind::kOpenSsl;
}

void SetCipher(CipherKind kind) { current = kind == CipherKind::kIpsecMb ? BestCipher() : kind; }

CipherKind CurrentCipher() { return current; }

struct GcmMessage::State {
  CipherKind kind = CipherKind::kOpenSsl;
  CipherContext context{nullptr, EVP_CIPHER_CTX_free};
#ifdef COFFER_HAVE_IPSEC_MB
  alignas(64) gcm_key_data expanded;
  gcm_context_data running;
#endif

  static State& OfThread() {
    thread_local State state;
    return state;
  }

  EVP_CIPHER_CTX* OpenSsl() {
    if (!context) context.reset(EVP_CIPHER_CTX_new());
    if (!context) throw std::bad_alloc();
    return context.get();
  }
};

GcmMessage::GcmMessage(Direction direction, const uint8_t* key, const uint8_t* nonce,
                       std::span<const uint8_t> associated)
    : state_(State::OfThread()), direction_(direction) {
  state_.kind = current;
#ifdef COFFER_HAVE_IPSEC_MB
  if (state_.kind == CipherKind::kIpsecMb) {
    IMB_MGR* manager = Multi().manager;
    IMB_AES256_GCM_PRE(manager, key, &state_.expanded);
    IMB_AES256_GCM_INIT(manager, &state_.expanded, &state_.running, nonce, associated.data(), associated.size());
    return;
  }
#endif
  int length = 0;
  const int is_sealing = direction_ == Direction::kSeal ? 1 : 0;
  Require(EVP_CipherInit_ex(state_.OpenSsl(), EVP_aes_256_gcm(), nullptr, key, nonce, is_sealing));
  Require(EVP_CipherUpdate(state_.OpenSsl(), nullptr, &length, associated.data(), static_cast<int>(associated.size())));
}

GcmMessage::~GcmMessage() {
#ifdef COFFER_HAVE_IPSEC_MB
  explicit_bzero(&state_.expanded, sizeof state_.expanded);
  explicit_bzero(&state_.running, sizeof state_.running);
#endif
  if (state_.context) EVP_CIPHER_CTX_reset(state_.context.get());
}

void GcmMessage::Update(std::span<const uint8_t> from, uint8_t* to) {
#ifdef COFFER_HAVE_IPSEC_MB
  if (state_.kind == CipherKind::kIpsecMb) {
    IMB_MGR* manager = Multi().manager;
    if (direction_ == Direction::kSeal) {
      IMB_AES256_GCM_ENC_UPDATE(manager, &state_.expanded, &state_.running, to, from.data(), from.size());
    } else {
      IMB_AES256_GCM_DEC_UPDATE(manager, &state_.expanded, &state_.running, to, from.data(), from.size());
    }
    return;
  }
#endif
  int length = 0;
  Require(EVP_CipherUpdate(state_.OpenSsl(), to, &length, from.data(), static_cast<int>(from.size())));
}

void GcmMessage::Seal(uint8_t* tag) {
#ifdef COFFER_HAVE_IPSEC_MB
  if (state_.kind == CipherKind::kIpsecMb) {
    IMB_AES256_GCM_ENC_FINALIZE(Multi().manager, &state_.expanded, &state_.running, tag, kTagBytes);
    return;
  }
#endif
  int length = 0;
  uint8_t nothing[kTagBytes];
  Require(EVP_CipherFinal_ex(state_.OpenSsl(), nothing, &length));
  Require(EVP_CIPHER_CTX_ctrl(state_.OpenSsl(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag));
}

bool GcmMessage::Open(const uint8_t* tag) {
  uint8_t expected[kTagBytes];
#ifdef COFFER_HAVE_IPSEC_MB
  if (state_.kind == CipherKind::kIpsecMb) {
    IMB_AES256_GCM_DEC_FINALIZE(Multi().manager, &state_.expanded, &state_.running, expected, kTagBytes);
    return IsEqual(expected, tag, kTagBytes);
  }
#endif
  int length = 0;
  uint8_t nothing[kTagBytes];
  std::memcpy(expected, tag, kTagBytes);
  Require(EVP_CIPHER_CTX_ctrl(state_.OpenSsl(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, expected));
  return EVP_CipherFinal_ex(state_.OpenSsl(), nothing, &length) == 1;
}

void Encrypt(const uint8_t* key, const uint8_t* nonce, std::span<const uint8_t> associated,
             std::span<const uint8_t> from, uint8_t* to, uint8_t* tag) {
  GcmMessage message(GcmMessage::Direction::kSeal, key, nonce, associated);
  message.Update(from, to);
  message.Seal(tag);
}

bool Decrypt(const uint8_t* key, const uint8_t* nonce, std::span<const uint8_t> associated,
             std::span<const uint8_t> from, uint8_t* to, const uint8_t* tag) {
  GcmMessage message(GcmMessage::Direction::kOpen, key, nonce, associated);
  message.Update(from, to);
  return message.Open(tag);
}

void DeriveBlockKey(const uint8_t* content_key, std::span<const uint8_t> salt, uint8_t* out) {
  uint8_t extracted[kKeyBytes];
  unsigned int length = 0;
  if (HMAC(EVP_sha256(), salt.data(), static_cast<int>(salt.size()), content_key, kKeyBytes, extracted, &length) ==
      nullptr) {
    throw std::runtime_error("OpenSSL refused HMAC-SHA256");
  }
  uint8_t message[kBlockKeyInfo.size() + 1];
  std::memcpy(message, kBlockKeyInfo.data(), kBlockKeyInfo.size());
  message[kBlockKeyInfo.size()] = 1;
  if (HMAC(EVP_sha256(), extracted, kKeyBytes, message, sizeof message, out, &length) == nullptr) {
    throw std::runtime_error("OpenSSL refused HMAC-SHA256");
  }
  explicit_bzero(extracted, sizeof extracted);
}

}  // namespace coffer
