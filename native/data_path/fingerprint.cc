// BLAKE3 as the system provides it.

#include "data_path/fingerprint.h"

#include <blake3.h>

#include <cstring>

namespace coffer {

void Fingerprint(std::span<const uint8_t> chunk, const uint8_t* key, uint8_t* out) {
  blake3_hasher hasher;
  blake3_hasher_init_keyed(&hasher, key);
  blake3_hasher_update(&hasher, chunk.data(), chunk.size());
  blake3_hasher_finalize(&hasher, out, kFingerprintBytes);
  // The key and what is chained from it; the rest are values of chunks.
  explicit_bzero(hasher.key, sizeof hasher.key);
  explicit_bzero(&hasher.chunk, sizeof hasher.chunk);
}

}  // namespace coffer
