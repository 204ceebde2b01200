// A second addon, for tests alone: the data path with all that chooses, computes or forges what the shipped one does not let
// out. Only test/helpers/test-exports.ts loads it.

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include <node_api.h>

#include "common/napi_util.h"
#include "data_path/cipher.h"
#include "data_path/cutter.h"
#include "data_path/data_path.h"
#include "data_path/region_format.h"
#include "data_path/seal.h"
#include "leveldb/crc32c.h"

namespace coffer {

namespace {

std::span<const uint8_t> KeyOf(napi_env env, napi_value value) {
  const auto key = BytesOf(env, value);
  if (key.size() != kKeyBytes) throw ArgumentError("A key has 32 bytes");
  return key;
}

/** setInstructionSet(name): the name in effect */
napi_value SetInstructionSetByName(Call& call) {
  const std::string name = StringOf(call.env, call.arguments[0]);
  InstructionSet set = BestInstructionSet();
  if (name == "scalar") set = InstructionSet::kScalar;
  if (name == "avx2") set = std::min(set, InstructionSet::kAvx2);
  SetInstructionSet(set);
  static constexpr const char* kNames[] = {"scalar", "avx2", "avx512"};
  return MakeString(call.env, kNames[static_cast<size_t>(CurrentInstructionSet())]);
}

/** setCipher(name): the name in effect */
napi_value SetCipherByName(Call& call) {
  SetCipher(StringOf(call.env, call.arguments[0]) == "openssl" ? CipherKind::kOpenSsl : BestCipher());
  return MakeString(call.env, CurrentCipher() == CipherKind::kOpenSsl ? "openssl" : "ipsec-mb");
}

/** encrypt(key, nonce, associated, data): ciphertext followed by the tag */
napi_value EncryptBytes(Call& call) {
  const auto key = KeyOf(call.env, call.arguments[0]);
  const auto nonce = BytesOf(call.env, call.arguments[1]);
  if (nonce.size() != kNonceBytes) throw ArgumentError("A nonce has 12 bytes");
  const auto data = BytesOf(call.env, call.arguments[3]);
  std::vector<uint8_t> out(data.size() + kTagBytes);
  Encrypt(key.data(), nonce.data(), BytesOf(call.env, call.arguments[2]), data, out.data(), out.data() + data.size());
  return MakeBytes(call.env, out);
}

/** deriveBlockKey(contentKey, salt) */
napi_value DeriveKey(Call& call) {
  uint8_t out[kKeyBytes];
  DeriveBlockKey(KeyOf(call.env, call.arguments[0]).data(), BytesOf(call.env, call.arguments[1]), out);
  return MakeBytes(call.env, out);
}

/** forgeRegion(bytes): in place */
napi_value Forge(Call& call) {
  ForgeRegion(BytesOf(call.env, call.arguments[0]));
  return MakeUndefined(call.env);
}

/** crc32cPortable(bytes): the masked checksum, without the processor's instruction */
napi_value MaskedCrc32cPortable(Call& call) {
  return MakeNumber(call.env, MaskCrc32c(Crc32cPortable(BytesOf(call.env, call.arguments[0]))));
}

}  // namespace

}  // namespace coffer

NAPI_MODULE_INIT() {
  coffer::RegisterDataPath(env, exports);
  coffer::Export<coffer::SetInstructionSetByName>(env, exports, "setInstructionSet", nullptr);
  coffer::Export<coffer::SetCipherByName>(env, exports, "setCipher", nullptr);
  coffer::Export<coffer::EncryptBytes>(env, exports, "encrypt", nullptr);
  coffer::Export<coffer::DeriveKey>(env, exports, "deriveBlockKey", nullptr);
  coffer::Export<coffer::Forge>(env, exports, "forgeRegion", nullptr);
  coffer::Export<coffer::MaskedCrc32cPortable>(env, exports, "crc32cPortable", nullptr);
  return exports;
}
