// A chunk's name: keyed BLAKE3, 256 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace coffer {

inline constexpr size_t kFingerprintBytes = 32;
inline constexpr size_t kFingerprintKeyBytes = 32;

/** Writes kFingerprintBytes to `out`. `key` has kFingerprintKeyBytes. */
void Fingerprint(std::span<const uint8_t> chunk, const uint8_t* key, uint8_t* out);

}  // namespace coffer
