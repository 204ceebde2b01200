// The bytes of a block file: one header page, then regions, each at a multiple of kPageBytes. All integers are
// little-endian.
//
// Block header, page 0 (the rest of the 4096 bytes is zero):
//      0   8  magic "COFRBLCK"
//      8   2  format version, 2
//     10   2  storage group
//     12   2  key id, 0 = clear
//     14   2  zero
//     16   4  block id
//     20   4  zero
//     24  32  salt, random
//     56   8  time of creation, seconds since 1970
//     64 4024 zero
//   4088   8  XXH3-64 of bytes 0 to 4087
//
// Region header, the first 128 bytes of a region:
//      0   8  magic "COFRREGN"
//      8   2  format version, 2
//     10   1  compression: 0 none, 1 lz4 block, 2 zstd frame
//     11   1  zero
//     12   2  storage group
//     14   2  key id
//     16   4  block id
//     20   4  region number = the page it starts at
//     24   8  sequence of the last durable commit when it was written
//     32   4  raw bytes, all chunks together
//     36   4  stored bytes, the same after compression
//     40   4  chunk count
//     44   4  first ordinal: the place of its first chunk among all chunks of the block file
//     48  16  zero
//     64  16  tag: AES-256-GCM's, or XXH3-128 (canonical form) when the key id is 0
//     80  40  zero
//    120   8  XXH3-64 of bytes 0 to 119
//
// The payload follows: the chunk table (per chunk 32 bytes of fingerprint, 4 of raw length), then the stored bytes;
// then zeros to the end of the page. Bytes 0 to 63 of the header are the associated data: the tag covers
// them and the payload. With a key, the payload is encrypted with HKDF-SHA256(CEK, salt, "coffer block v1") and the
// nonce is the region number as 12 little-endian bytes; a page of a block is written at most once, so no nonce returns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace coffer {

inline constexpr size_t kPageBytes = 4096;
inline constexpr size_t kChunkBytesMax = size_t{256} << 10;
inline constexpr size_t kRegionRawBytesMax = size_t{512} << 10;
inline constexpr size_t kRegionChunksMax = 1024;
inline constexpr size_t kRegionHeaderBytes = 128;
inline constexpr size_t kAssociatedBytes = 64;
inline constexpr size_t kTagOffset = 64;
inline constexpr size_t kTagBytes = 16;
inline constexpr size_t kTableEntryBytes = 36;
inline constexpr size_t kSaltBytes = 32;
inline constexpr size_t kBlockBytesMax = size_t{64} << 20;
/** Ordinals have 16 bits. */
inline constexpr size_t kBlockChunksMax = 65535;

constexpr size_t RoundUpToPage(size_t bytes) { return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes; }

/** The largest payload of a region, before padding: a full table and data that didn't shrink. */
inline constexpr size_t kPayloadBytesMax = kRegionChunksMax * kTableEntryBytes + kRegionRawBytesMax;
/** The largest region in a file. */
inline constexpr size_t kRegionBytesMax = RoundUpToPage(kRegionHeaderBytes + kPayloadBytesMax);

enum class Algorithm : uint8_t { kNone = 0, kLz4 = 1, kZstd = 2 };

struct BlockHeader {
  uint16_t group = 0;
  uint16_t key_id = 0;
  uint32_t block = 0;
  uint8_t salt[kSaltBytes] = {};
  uint64_t created_seconds = 0;
};

struct RegionHeader {
  Algorithm algorithm = Algorithm::kNone;
  uint16_t group = 0;
  uint16_t key_id = 0;
  uint32_t block = 0;
  uint32_t page = 0;
  uint64_t sequence = 0;
  uint32_t raw_bytes = 0;
  uint32_t stored_bytes = 0;
  uint32_t chunk_count = 0;
  uint32_t first_ordinal = 0;

  size_t table_bytes() const { return chunk_count * kTableEntryBytes; }
  size_t payload_bytes() const { return table_bytes() + stored_bytes; }
  size_t file_bytes() const { return RoundUpToPage(kRegionHeaderBytes + payload_bytes()); }
};

/** `out` has kPageBytes. */
void PackBlockHeader(const BlockHeader& header, uint8_t* out);
/** False when the page isn't a block header of this version. `bytes` has kPageBytes. */
bool ParseBlockHeader(const uint8_t* bytes, BlockHeader& header);

/** Writes all but the tag and the checksum: bytes 0 to kAssociatedBytes, and zeros after them. */
void PackRegionHeader(const RegionHeader& header, uint8_t* out);
/** Once the tag is in place. */
void FinishRegionHeader(uint8_t* out);
/** False unless every field is in its limits. `bytes` has kRegionHeaderBytes. */
bool ParseRegionHeader(const uint8_t* bytes, RegionHeader& header);

}  // namespace coffer
