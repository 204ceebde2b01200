// CRC-32C: SSE 4.2's instruction, ARM's, or tables of eight bytes at once.

#include "leveldb/crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

namespace coffer {

namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;
constexpr size_t kStrideBytes = 8;

using Tables = std::array<std::array<uint32_t, 256>, kStrideBytes>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? (crc >> 1) ^ kPolynomial : crc >> 1;
    tables[0][byte] = crc;
  }
  for (size_t slice = 1; slice < kStrideBytes; slice++) {
    for (size_t byte = 0; byte < 256; byte++) {
      const uint32_t below = tables[slice - 1][byte];
      tables[slice][byte] = (below >> 8) ^ tables[0][below & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

uint64_t Load(const uint8_t* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) uint32_t Hardware(std::span<const uint8_t> bytes) {
  const uint8_t* at = bytes.data();
  size_t left = bytes.size();
  uint64_t crc = ~0u;
  for (; left >= kStrideBytes; at += kStrideBytes, left -= kStrideBytes) crc = _mm_crc32_u64(crc, Load(at));
  auto result = static_cast<uint32_t>(crc);
  for (; left > 0; at++, left--) result = _mm_crc32_u8(result, *at);
  return ~result;
}

bool HasHardware() { return __builtin_cpu_supports("sse4.2") != 0; }

#elif defined(__ARM_FEATURE_CRC32)

uint32_t Hardware(std::span<const uint8_t> bytes) {
  const uint8_t* at = bytes.data();
  size_t left = bytes.size();
  uint32_t crc = ~0u;
  for (; left >= kStrideBytes; at += kStrideBytes, left -= kStrideBytes) crc = __crc32cd(crc, Load(at));
  for (; left > 0; at++, left--) crc = __crc32cb(crc, *at);
  return ~crc;
}

bool HasHardware() { return true; }

#else

uint32_t Hardware(std::span<const uint8_t> bytes) { return Crc32cPortable(bytes); }
bool HasHardware() { return false; }

#endif

}  // namespace

uint32_t Crc32cPortable(std::span<const uint8_t> bytes) {
  const uint8_t* at = bytes.data();
  size_t left = bytes.size();
  uint32_t crc = ~0u;
  for (; left >= kStrideBytes; at += kStrideBytes, left -= kStrideBytes) {
    uint32_t next = 0;
    for (size_t index = 0; index < kStrideBytes; index++) {
      const uint8_t byte = index < 4 ? at[index] ^ static_cast<uint8_t>(crc >> (8 * index)) : at[index];
      next ^= kTables[kStrideBytes - 1 - index][byte];
    }
    crc = next;
  }
  for (; left > 0; at++, left--) crc = (crc >> 8) ^ kTables[0][(crc ^ *at) & 0xff];
  return ~crc;
}

uint32_t Crc32c(std::span<const uint8_t> bytes) {
  static const bool has_hardware = HasHardware();
  return has_hardware ? Hardware(bytes) : Crc32cPortable(bytes);
}

}  // namespace coffer
