// AES-256-GCM by libipsec-mb (VAES and AVX-512 where the processor has them) or by the OpenSSL inside node, whose
// headers node ships and whose symbols resolve from the running binary.

#include "data_path/cipher.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <atomic>
#include <cstring>
#include <memory>
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

EVP_CIPHER_CTX* ThreadContext() {
  thread_local CipherContext context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  if (!context) throw std::bad_alloc();
  return context.get();
}

void Require(int result) {
  if (result != 1) throw std::runtime_error("OpenSSL refused an AES-GCM operation");
}

void EncryptOpenSsl(const uint8_t* key, const uint8_t* nonce, std::span<const uint8_t> associated,
                    std::span<const uint8_t> from, uint8_t* to, uint8_t* tag) {
  EVP_CIPHER_CTX* context = ThreadContext();
  int length = 0;
  Require(EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), nullptr, key, nonce));
  Require(EVP_EncryptUpdate(context, nullptr, &length, associated.data(), static_cast<int>(associated.size())));
  Require(EVP_EncryptUpdate(context, to, &length, from.data(), static_cast<int>(from.size())));
  Require(EVP_EncryptFinal_ex(context, to + length, &length));
  Require(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag));
}

bool DecryptOpenSsl(const uint8_t* key, const uint8_t* nonce, std::span<const uint8_t> associated,
                    std::span<const uint8_t> from, uint8_t* to, const uint8_t* tag) {
  EVP_CIPHER_CTX* context = ThreadContext();
  int length = 0;
  uint8_t expected[kTagBytes];
  std::memcpy(expected, tag, kTagBytes);
  Require(EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), nullptr, key, nonce));
  Require(EVP_DecryptUpdate(context, nullptr, &length, associated.data(), static_cast<int>(associated.size())));
  Require(EVP_DecryptUpdate(context, to, &length, from.data(), static_cast<int>(from.size())));
  Require(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, expected));
  return EVP_DecryptFinal_ex(context, to + length, &length) == 1;
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

void Encrypt(const uint8_t* key, const uint8_t* nonce, std::span<const uint8_t> associated,
             std::span<const uint8_t> from, uint8_t* to, uint8_t* tag) {
#ifdef COFFER_HAVE_IPSEC_MB
  if (current == CipherKind::kIpsecMb) {
    IMB_MGR* manager = Multi().manager;
    alignas(64) gcm_key_data expanded;
    gcm_context_data context;
    IMB_AES256_GCM_PRE(manager, key, &expanded);
    IMB_AES256_GCM_ENC(manager, &expanded, &context, to, from.data(), from.size(), nonce, associated.data(),
                       associated.size(), tag, kTagBytes);
    explicit_bzero(&expanded, sizeof expanded);
    return;
  }
#endif
  EncryptOpenSsl(key, nonce, associated, from, to, tag);
}

bool Decrypt(const uint8_t* key, const uint8_t* nonce, std::span<const uint8_t> associated,
             std::span<const uint8_t> from, uint8_t* to, const uint8_t* tag) {
#ifdef COFFER_HAVE_IPSEC_MB
  if (current == CipherKind::kIpsecMb) {
    IMB_MGR* manager = Multi().manager;
    alignas(64) gcm_key_data expanded;
    gcm_context_data context;
    uint8_t computed[kTagBytes];
    IMB_AES256_GCM_PRE(manager, key, &expanded);
    IMB_AES256_GCM_DEC(manager, &expanded, &context, to, from.data(), from.size(), nonce, associated.data(),
                       associated.size(), computed, kTagBytes);
    explicit_bzero(&expanded, sizeof expanded);
    return IsEqual(computed, tag, kTagBytes);
  }
#endif
  return DecryptOpenSsl(key, nonce, associated, from, to, tag);
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
