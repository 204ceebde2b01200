// CRC-32C (Castagnoli), as LevelDB uses it.
#pragma once

#include <cstdint>
#include <span>

namespace coffer {

/** The checksum of `bytes`; with the processor's instruction where it has one. */
uint32_t Crc32c(std::span<const uint8_t> bytes);
/** The same without it; for tests. */
uint32_t Crc32cPortable(std::span<const uint8_t> bytes);

/** LevelDB stores checksums in another form, because checksums of checksums are weak. */
inline uint32_t MaskCrc32c(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; }

}  // namespace coffer
