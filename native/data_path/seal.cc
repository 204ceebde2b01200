// Compression, encryption and their way back.

#include "data_path/seal.h"

#include <lz4.h>
#include <xxhash.h>
#include <zstd.h>

// Debian's library is built for SSE2; its dispatching functions take AVX2 or AVX-512 and are three times as fast.
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif

#include <cstring>
#include <memory>

#include "data_path/bytes.h"
#include "data_path/cipher.h"
#include "data_path/thread_memory.h"

namespace coffer {

namespace {

/** zstd's own default level: the best ratio that still keeps up with a disk. */
constexpr int kZstdLevel = 3;
/** Data that doesn't shrink to this share is stored as it is: opening it costs more than it saves. */
constexpr size_t kWorthwhilePercent = 97;

using Compressor = std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)>;
using Hasher = std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)>;
using Decompressor = std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)>;

/** What a pool thread keeps between jobs besides its buffers. */
struct Tools {
  Compressor compressor{ZSTD_createCCtx(), ZSTD_freeCCtx};
  Decompressor decompressor{ZSTD_createDCtx(), ZSTD_freeDCtx};
  Hasher hasher{XXH3_createState(), XXH3_freeState};
};

Tools& ThreadTools() {
  thread_local Tools tools;
  return tools;
}

/** Bytes written, 0 when the result wouldn't fit in `capacity`. */
size_t Compress(Algorithm algorithm, const uint8_t* from, size_t bytes, uint8_t* to, size_t capacity) {
  if (algorithm == Algorithm::kLz4) {
    const int result = LZ4_compress_default(reinterpret_cast<const char*>(from), reinterpret_cast<char*>(to),
                                            static_cast<int>(bytes), static_cast<int>(capacity));
    return result > 0 ? static_cast<size_t>(result) : 0;
  }
  const size_t result = ZSTD_compressCCtx(ThreadTools().compressor.get(), to, capacity, from, bytes, kZstdLevel);
  return ZSTD_isError(result) ? 0 : result;
}

bool Decompress(Algorithm algorithm, const uint8_t* from, size_t bytes, uint8_t* to, size_t raw_bytes) {
  if (algorithm == Algorithm::kLz4) {
    return LZ4_decompress_safe(reinterpret_cast<const char*>(from), reinterpret_cast<char*>(to),
                               static_cast<int>(bytes),
                               static_cast<int>(raw_bytes)) == static_cast<int>(raw_bytes);
  }
  return ZSTD_decompressDCtx(ThreadTools().decompressor.get(), to, raw_bytes, from, bytes) == raw_bytes;
}

void NonceOf(const RegionHeader& header, uint8_t* nonce) {
  std::memset(nonce, 0, kNonceBytes);
  StoreLittle<uint32_t>(nonce, header.page);
}

void Checksum(const uint8_t* region, size_t payload_bytes, uint8_t* tag) {
  // The associated data and the payload don't touch (the tag lies between them), hence the streaming form.
  XXH3_state_t* const state = ThreadTools().hasher.get();
  XXH3_128bits_reset(state);
  XXH3_128bits_update(state, region, kAssociatedBytes);
  XXH3_128bits_update(state, region + kRegionHeaderBytes, payload_bytes);
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
  std::memcpy(tag, &canonical, kTagBytes);
}

/** Checks the tag and brings the clear payload to `to`, which may be the payload's own place. */
void Authenticate(const RegionHeader& header, const uint8_t* key, const uint8_t* region, uint8_t* to) {
  const uint8_t* payload = region + kRegionHeaderBytes;
  if (key == nullptr) {
    uint8_t tag[kTagBytes];
    Checksum(region, header.payload_bytes(), tag);
    if (std::memcmp(tag, region + kTagOffset, kTagBytes) != 0) throw Damage("authentication", "The checksum is wrong");
    if (to != payload) std::memcpy(to, payload, header.payload_bytes());
    return;
  }
  uint8_t nonce[kNonceBytes];
  NonceOf(header, nonce);
  if (!Decrypt(key, nonce, {region, kAssociatedBytes}, {payload, header.payload_bytes()}, to, region + kTagOffset)) {
    throw Damage("authentication", "The tag is wrong");
  }
}

void CheckTable(const RegionHeader& header, const uint8_t* table) {
  uint64_t total = 0;
  for (size_t slot = 0; slot < header.chunk_count; slot++) {
    const auto length = LoadLittle<uint32_t>(table + slot * kTableEntryBytes + 32);
    if (length == 0 || length > kChunkBytesMax) throw Damage("table", "A chunk's length is out of range");
    total += length;
  }
  if (total != header.raw_bytes) throw Damage("table", "The chunks' lengths don't add up");
}

void CheckSize(const RegionHeader& header, size_t available) {
  if (kRegionHeaderBytes + header.payload_bytes() > available) throw Damage("truncated", "The region ends early");
}

/** From the clear payload at `payload` to table and raw bytes at `out`. */
void Expand(const RegionHeader& header, const uint8_t* payload, uint8_t* out) {
  const size_t table_bytes = header.table_bytes();
  CheckTable(header, payload);
  std::memcpy(out, payload, table_bytes);
  if (!Decompress(header.algorithm, payload + table_bytes, header.stored_bytes, out + table_bytes,
                  header.raw_bytes)) {
    throw Damage("decompression", "The data doesn't decompress");
  }
}

}  // namespace

void GatherRegion(std::span<const ChunkSlice> chunks, Algorithm wanted, RegionHeader& header, uint8_t* region) {
  uint8_t* table = region + kRegionHeaderBytes;
  uint8_t* data = table + chunks.size() * kTableEntryBytes;
  uint8_t* gathered = wanted == Algorithm::kNone ? data : ThreadMemory::Get().payload();
  size_t raw_bytes = 0;
  for (size_t slot = 0; slot < chunks.size(); slot++) {
    const ChunkSlice& chunk = chunks[slot];
    std::memcpy(table + slot * kTableEntryBytes, chunk.fingerprint, 32);
    StoreLittle<uint32_t>(table + slot * kTableEntryBytes + 32, static_cast<uint32_t>(chunk.data.size()));
    std::memcpy(gathered + raw_bytes, chunk.data.data(), chunk.data.size());
    raw_bytes += chunk.data.size();
  }
  header.chunk_count = static_cast<uint32_t>(chunks.size());
  header.raw_bytes = static_cast<uint32_t>(raw_bytes);
  header.algorithm = wanted;
  size_t stored = raw_bytes;
  if (wanted != Algorithm::kNone) {
    stored = Compress(wanted, gathered, raw_bytes, data, raw_bytes * kWorthwhilePercent / 100);
    if (stored == 0) {
      std::memcpy(data, gathered, raw_bytes);
      stored = raw_bytes;
      header.algorithm = Algorithm::kNone;
    }
  }
  header.stored_bytes = static_cast<uint32_t>(stored);
}

void SealRegion(const RegionHeader& header, const uint8_t* key, uint8_t* region) {
  PackRegionHeader(header, region);
  uint8_t* payload = region + kRegionHeaderBytes;
  if (key == nullptr) {
    Checksum(region, header.payload_bytes(), region + kTagOffset);
  } else {
    uint8_t nonce[kNonceBytes];
    NonceOf(header, nonce);
    Encrypt(key, nonce, {region, kAssociatedBytes}, {payload, header.payload_bytes()}, payload, region + kTagOffset);
  }
  FinishRegionHeader(region);
  const size_t used = kRegionHeaderBytes + header.payload_bytes();
  std::memset(region + used, 0, header.file_bytes() - used);
}

void OpenRegionInPlace(const RegionHeader& header, const uint8_t* key, std::span<uint8_t> region, uint8_t* out) {
  CheckSize(header, region.size());
  if (header.algorithm == Algorithm::kNone) {
    Authenticate(header, key, region.data(), out);
    CheckTable(header, out);
    return;
  }
  uint8_t* payload = region.data() + kRegionHeaderBytes;
  Authenticate(header, key, region.data(), payload);
  Expand(header, payload, out);
}

void VerifyRegion(const RegionHeader& header, const uint8_t* key, std::span<const uint8_t> region,
                  std::span<const ChunkSlice> chunks) {
  CheckSize(header, region.size());
  RegionHeader parsed;
  if (!ParseRegionHeader(region.data(), parsed)) throw Damage("header", "The header just written doesn't parse");
  const uint8_t* opened = ThreadMemory::Get().payload();
  if (key == nullptr) {
    // Nothing to decrypt: the checksum is taken where the bytes are.
    uint8_t tag[kTagBytes];
    Checksum(region.data(), header.payload_bytes(), tag);
    if (std::memcmp(tag, region.data() + kTagOffset, kTagBytes) != 0) {
      throw Damage("authentication", "The checksum is wrong");
    }
    opened = region.data() + kRegionHeaderBytes;
  } else {
    Authenticate(header, key, region.data(), ThreadMemory::Get().payload());
  }
  if (header.algorithm != Algorithm::kNone) {
    uint8_t* expanded = ThreadMemory::Get().expanded();
    Expand(header, opened, expanded);
    opened = expanded;
  } else {
    CheckTable(header, opened);
  }
  const uint8_t* data = opened + header.table_bytes();
  for (size_t slot = 0; slot < chunks.size(); slot++) {
    const ChunkSlice& chunk = chunks[slot];
    const uint8_t* entry = opened + slot * kTableEntryBytes;
    if (std::memcmp(entry, chunk.fingerprint, 32) != 0 ||
        LoadLittle<uint32_t>(entry + 32) != chunk.data.size() ||
        std::memcmp(data, chunk.data.data(), chunk.data.size()) != 0) {
      throw Damage("table", "What was sealed opens to something else");
    }
    data += chunk.data.size();
  }
}

void ForgeRegion(std::span<uint8_t> region) {
  RegionHeader header;
  if (region.size() < kRegionHeaderBytes) return;
  FinishRegionHeader(region.data());
  if (!ParseRegionHeader(region.data(), header)) return;
  if (kRegionHeaderBytes + header.payload_bytes() > region.size()) return;
  Checksum(region.data(), header.payload_bytes(), region.data() + kTagOffset);
  FinishRegionHeader(region.data());
}

}  // namespace coffer
