// BLAKE3 as the system provides it.

#include "data_path/fingerprint.h"

#include <blake3.h>

namespace coffer {

void Fingerprint(std::span<const uint8_t> chunk, const uint8_t* key, uint8_t* out) {
  blake3_hasher hasher;
  blake3_hasher_init_keyed(&hasher, key);
  blake3_hasher_update(&hasher, chunk.data(), chunk.size());
  blake3_hasher_finalize(&hasher, out, kFingerprintBytes);
}

}  // namespace coffer
