// AES-256-GCM over some secrets, one behind the other; see sealed_secrets.h.

#include "data_path/sealed_secrets.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "common/napi_util.h"
#include "common/secret_memory.h"
#include "data_path/cipher.h"
#include "data_path/region_format.h"

namespace coffer {
namespace {

/** Where a length stands for a secret that is gone: its place holds zeros. */
bool IsAbsent(napi_env env, napi_value value) {
  napi_valuetype type;
  Check(napi_typeof(env, value, &type));
  return type == napi_number;
}

std::span<const uint8_t> NonceOf(napi_env env, napi_value value) {
  const auto nonce = BytesOf(env, value);
  if (nonce.size() != kNonceBytes) throw ArgumentError("A nonce has 12 bytes");
  return nonce;
}

/** sealSecrets(key, nonce, associated, secrets): what is sealed, then the tag. A number is the length of an absent one. */
napi_value SealSecrets(Call& call) {
  const auto key = SecretBytesOf(call.env, call.arguments[0], kKeyBytes);
  const auto nonce = NonceOf(call.env, call.arguments[1]);
  const auto associated = BytesOf(call.env, call.arguments[2]);
  uint32_t count = 0;
  if (napi_get_array_length(call.env, call.arguments[3], &count) != napi_ok) throw ArgumentError("An array is expected");
  std::vector<napi_value> items(count);
  std::vector<std::span<const uint8_t>> parts(count);
  size_t total = 0;
  for (uint32_t index = 0; index < count; index++) {
    Check(napi_get_element(call.env, call.arguments[3], index, &items[index]));
    if (IsAbsent(call.env, items[index])) {
      total += Uint32Of(call.env, items[index]);
    } else {
      parts[index] = SecretOf(call.env, items[index]).bytes();
      total += parts[index].size();
    }
  }
  // Checks the length before it takes memory of it.
  Secret plain(total);
  auto at = plain.writable().begin();
  for (uint32_t index = 0; index < count; index++) {
    std::ranges::copy(parts[index], at);
    at += static_cast<ptrdiff_t>(parts[index].empty() ? Uint32Of(call.env, items[index]) : parts[index].size());
  }
  std::vector<uint8_t> out(total + kTagBytes);
  Encrypt(key.data(), nonce.data(), associated, plain.bytes(), out.data(), out.data() + total);
  return MakeBytes(call.env, out);
}

/** openSecrets(key, nonce, associated, sealed, lengths): secrets, null for one of zeros; null when the tag doesn't match */
napi_value OpenSecrets(Call& call) {
  const auto key = SecretBytesOf(call.env, call.arguments[0], kKeyBytes);
  const auto nonce = NonceOf(call.env, call.arguments[1]);
  const auto associated = BytesOf(call.env, call.arguments[2]);
  const auto sealed = BytesOf(call.env, call.arguments[3]);
  const auto lengths = WordsOf(call.env, call.arguments[4]);
  size_t total = 0;
  for (const uint32_t length : lengths) total += length;
  if (sealed.size() != total + kTagBytes) throw ArgumentError("The lengths don't add up");
  Secret plain(total);
  napi_value result;
  if (!Decrypt(key.data(), nonce.data(), associated, sealed.first(total), plain.writable().data(),
               sealed.data() + total)) {
    Check(napi_get_null(call.env, &result));
    return result;
  }
  Check(napi_create_array_with_length(call.env, lengths.size(), &result));
  auto rest = plain.bytes();
  for (size_t index = 0; index < lengths.size(); index++) {
    const auto part = rest.first(lengths[index]);
    rest = rest.subspan(lengths[index]);
    napi_value value;
    if (IsAllZero(part)) {
      Check(napi_get_null(call.env, &value));
    } else {
      auto secret = std::make_unique<Secret>(part.size());
      std::ranges::copy(part, secret->writable().begin());
      value = MakeSecret(call.env, std::move(secret));
    }
    Check(napi_set_element(call.env, result, static_cast<uint32_t>(index), value));
  }
  return result;
}

}  // namespace

void RegisterSealedSecrets(napi_env env, napi_value exports) {
  Export<SealSecrets>(env, exports, "sealSecrets", nullptr);
  Export<OpenSecrets>(env, exports, "openSecrets", nullptr);
}

}  // namespace coffer
