// Packing and parsing of the two headers; the only place that knows their offsets.

#include "data_path/region_format.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "data_path/bytes.h"

namespace coffer {

namespace {

constexpr char kBlockMagic[9] = "COFRBLCK";
constexpr char kRegionMagic[9] = "COFRREGN";
constexpr size_t kMagicBytes = 8;
constexpr uint16_t kFormatVersion = 2;
constexpr size_t kBlockChecksumOffset = kPageBytes - 8;
constexpr size_t kRegionChecksumOffset = kRegionHeaderBytes - 8;

bool IsZero(const uint8_t* from, const uint8_t* to) {
  return std::all_of(from, to, [](uint8_t byte) { return byte == 0; });
}

}  // namespace

void PackBlockHeader(const BlockHeader& header, uint8_t* out) {
  std::memset(out, 0, kPageBytes);
  std::memcpy(out, kBlockMagic, kMagicBytes);
  StoreLittle<uint16_t>(out + 8, kFormatVersion);
  StoreLittle<uint16_t>(out + 10, header.group);
  StoreLittle<uint16_t>(out + 12, header.key_id);
  StoreLittle<uint32_t>(out + 16, header.block);
  std::memcpy(out + 24, header.salt, kSaltBytes);
  StoreLittle<uint64_t>(out + 56, header.created_seconds);
  StoreLittle<uint64_t>(out + kBlockChecksumOffset, XXH3_64bits(out, kBlockChecksumOffset));
}

bool ParseBlockHeader(const uint8_t* bytes, BlockHeader& header) {
  if (std::memcmp(bytes, kBlockMagic, kMagicBytes) != 0) return false;
  if (LoadLittle<uint16_t>(bytes + 8) != kFormatVersion) return false;
  if (LoadLittle<uint64_t>(bytes + kBlockChecksumOffset) != XXH3_64bits(bytes, kBlockChecksumOffset)) return false;
  header.group = LoadLittle<uint16_t>(bytes + 10);
  header.key_id = LoadLittle<uint16_t>(bytes + 12);
  header.block = LoadLittle<uint32_t>(bytes + 16);
  std::memcpy(header.salt, bytes + 24, kSaltBytes);
  header.created_seconds = LoadLittle<uint64_t>(bytes + 56);
  return true;
}

void PackRegionHeader(const RegionHeader& header, uint8_t* out) {
  std::memset(out, 0, kRegionHeaderBytes);
  std::memcpy(out, kRegionMagic, kMagicBytes);
  StoreLittle<uint16_t>(out + 8, kFormatVersion);
  out[10] = static_cast<uint8_t>(header.algorithm);
  StoreLittle<uint16_t>(out + 12, header.group);
  StoreLittle<uint16_t>(out + 14, header.key_id);
  StoreLittle<uint32_t>(out + 16, header.block);
  StoreLittle<uint32_t>(out + 20, header.page);
  StoreLittle<uint64_t>(out + 24, header.sequence);
  StoreLittle<uint32_t>(out + 32, header.raw_bytes);
  StoreLittle<uint32_t>(out + 36, header.stored_bytes);
  StoreLittle<uint32_t>(out + 40, header.chunk_count);
  StoreLittle<uint32_t>(out + 44, header.first_ordinal);
}

void FinishRegionHeader(uint8_t* out) {
  StoreLittle<uint64_t>(out + kRegionChecksumOffset, XXH3_64bits(out, kRegionChecksumOffset));
}

bool ParseRegionHeader(const uint8_t* bytes, RegionHeader& header) {
  if (std::memcmp(bytes, kRegionMagic, kMagicBytes) != 0) return false;
  if (LoadLittle<uint16_t>(bytes + 8) != kFormatVersion) return false;
  if (LoadLittle<uint64_t>(bytes + kRegionChecksumOffset) != XXH3_64bits(bytes, kRegionChecksumOffset)) return false;
  if (bytes[10] > static_cast<uint8_t>(Algorithm::kZstd) || bytes[11] != 0) return false;
  if (!IsZero(bytes + 48, bytes + kTagOffset)) return false;
  if (!IsZero(bytes + kTagOffset + kTagBytes, bytes + kRegionChecksumOffset)) return false;
  header.algorithm = static_cast<Algorithm>(bytes[10]);
  header.group = LoadLittle<uint16_t>(bytes + 12);
  header.key_id = LoadLittle<uint16_t>(bytes + 14);
  header.block = LoadLittle<uint32_t>(bytes + 16);
  header.page = LoadLittle<uint32_t>(bytes + 20);
  header.sequence = LoadLittle<uint64_t>(bytes + 24);
  header.raw_bytes = LoadLittle<uint32_t>(bytes + 32);
  header.stored_bytes = LoadLittle<uint32_t>(bytes + 36);
  header.chunk_count = LoadLittle<uint32_t>(bytes + 40);
  header.first_ordinal = LoadLittle<uint32_t>(bytes + 44);
  if (header.raw_bytes == 0 || header.raw_bytes > kRegionRawBytesMax) return false;
  if (header.chunk_count == 0 || header.chunk_count > kRegionChunksMax) return false;
  if (header.chunk_count > header.raw_bytes) return false;
  if (header.first_ordinal > kBlockChunksMax - header.chunk_count) return false;
  if (header.stored_bytes == 0 || header.stored_bytes > header.raw_bytes) return false;
  return header.algorithm != Algorithm::kNone || header.stored_bytes == header.raw_bytes;
}

}  // namespace coffer
