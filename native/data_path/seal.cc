// Regions: chunks to sealed bytes, and back.

#include "data_path/seal.h"

#include <xxhash.h>

// Debian's library is built for SSE2; its dispatching functions take AVX2 or AVX-512 and are three times as fast.
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif

#include <cstring>
#include <memory>
#include <new>

#include "data_path/bytes.h"
#include "data_path/cipher.h"
#include "data_path/compression.h"
#include "data_path/thread_memory.h"

namespace coffer {

namespace {

/** Data that doesn't shrink to this share is stored as it is: opening it costs more than it saves. */
constexpr size_t kWorthwhilePercent = 97;

void NonceOf(const RegionHeader& header, uint8_t* nonce) {
  std::memset(nonce, 0, kNonceBytes);
  StoreLittle<uint32_t>(nonce, header.page);
}

/** The tag of a clear region, piece by piece. */
class ChecksumStream {
 public:
  explicit ChecksumStream(const uint8_t* region) {
    XXH3_128bits_reset(state_);
    Update({region, kAssociatedBytes});
  }

  void Update(std::span<const uint8_t> piece) { XXH3_128bits_update(state_, piece.data(), piece.size()); }

  void Finish(uint8_t* tag) {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_));
    std::memcpy(tag, &canonical, kTagBytes);
  }

 private:
  /** The thread's own: one at a time. */
  XXH3_state_t* const state_ = ThreadState();

  static XXH3_state_t* ThreadState() {
    thread_local const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state{XXH3_createState(),
                                                                                      XXH3_freeState};
    if (!state) throw std::bad_alloc();
    return state.get();
  }
};

void Checksum(const uint8_t* region, size_t payload_bytes, uint8_t* tag) {
  ChecksumStream checksum(region);
  checksum.Update({region + kRegionHeaderBytes, payload_bytes});
  checksum.Finish(tag);
}

/** Copies what isn't there yet; the checksum takes each chunk while it is in the cache. */
void ChecksumInto(const RegionHeader& header, std::span<const ChunkSlice> chunks, uint8_t* region) {
  if (header.algorithm != Algorithm::kNone) {
    Checksum(region, header.payload_bytes(), region + kTagOffset);
    return;
  }
  const uint8_t* payload = region + kRegionHeaderBytes;
  ChecksumStream checksum(region);
  checksum.Update({payload, header.table_bytes()});
  uint8_t* to = region + kRegionHeaderBytes + header.table_bytes();
  for (const ChunkSlice& chunk : chunks) {
    std::memcpy(to, chunk.data.data(), chunk.data.size());
    checksum.Update({to, chunk.data.size()});
    to += chunk.data.size();
  }
  checksum.Finish(region + kTagOffset);
}

/** The chunks' data where it lies when it lies in a row, as freshly cut data does, else in the thread's memory. */
const uint8_t* InOnePiece(std::span<const ChunkSlice> chunks, size_t raw_bytes) {
  const uint8_t* const first = chunks.front().data.data();
  const uint8_t* end = first;
  for (const ChunkSlice& chunk : chunks) {
    if (chunk.data.data() != end) break;
    end += chunk.data.size();
  }
  if (end == first + raw_bytes) return first;
  uint8_t* const gathered = ThreadMemory::Get().payload();
  uint8_t* to = gathered;
  for (const ChunkSlice& chunk : chunks) {
    std::memcpy(to, chunk.data.data(), chunk.data.size());
    to += chunk.data.size();
  }
  return gathered;
}

/** @throws Damage */
void CheckChecksum(const RegionHeader& header, const uint8_t* region) {
  uint8_t tag[kTagBytes];
  Checksum(region, header.payload_bytes(), tag);
  if (std::memcmp(tag, region + kTagOffset, kTagBytes) != 0) throw Damage("authentication", "The checksum is wrong");
}

/** Checks the tag and brings the clear payload to `to`, which may be the payload's own place. */
void Authenticate(const RegionHeader& header, const uint8_t* key, const uint8_t* region, uint8_t* to) {
  const uint8_t* payload = region + kRegionHeaderBytes;
  if (key == nullptr) {
    CheckChecksum(header, region);
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

void Compare(const uint8_t* opened, std::span<const uint8_t> wanted) {
  if (std::memcmp(opened, wanted.data(), wanted.size()) != 0) {
    throw Damage("table", "What was sealed opens to something else");
  }
}

void CompareTable(const uint8_t* table, std::span<const ChunkSlice> chunks) {
  for (const ChunkSlice& chunk : chunks) {
    Compare(table, {chunk.fingerprint, 32});
    if (LoadLittle<uint32_t>(table + 32) != chunk.data.size()) throw Damage("table", "A length was sealed wrong");
    table += kTableEntryBytes;
  }
}

/** A region that isn't compressed is compared chunk by chunk as it opens, which stays in the processor's cache. */
void VerifyPlain(const RegionHeader& header, const uint8_t* key, std::span<const uint8_t> region,
                 std::span<const ChunkSlice> chunks) {
  const uint8_t* sealed = region.data() + kRegionHeaderBytes;
  if (key == nullptr) {
    CheckChecksum(header, region.data());
    CompareTable(sealed, chunks);
    sealed += header.table_bytes();
    for (const ChunkSlice& chunk : chunks) {
      Compare(sealed, chunk.data);
      sealed += chunk.data.size();
    }
    return;
  }
  uint8_t nonce[kNonceBytes];
  NonceOf(header, nonce);
  uint8_t* const opened = ThreadMemory::Get().payload();
  GcmMessage message(GcmMessage::Direction::kOpen, key, nonce, region.first(kAssociatedBytes));
  message.Update({sealed, header.table_bytes()}, opened);
  CompareTable(opened, chunks);
  sealed += header.table_bytes();
  for (const ChunkSlice& chunk : chunks) {
    message.Update({sealed, chunk.data.size()}, opened);
    Compare(opened, chunk.data);
    sealed += chunk.data.size();
  }
  if (!message.Open(region.data() + kTagOffset)) throw Damage("authentication", "The tag is wrong");
}

}  // namespace

void GatherRegion(std::span<const ChunkSlice> chunks, Algorithm wanted, RegionHeader& header, uint8_t* region) {
  uint8_t* table = region + kRegionHeaderBytes;
  size_t raw_bytes = 0;
  for (size_t slot = 0; slot < chunks.size(); slot++) {
    const ChunkSlice& chunk = chunks[slot];
    std::memcpy(table + slot * kTableEntryBytes, chunk.fingerprint, 32);
    StoreLittle<uint32_t>(table + slot * kTableEntryBytes + 32, static_cast<uint32_t>(chunk.data.size()));
    raw_bytes += chunk.data.size();
  }
  header.chunk_count = static_cast<uint32_t>(chunks.size());
  header.raw_bytes = static_cast<uint32_t>(raw_bytes);
  header.stored_bytes = header.raw_bytes;
  header.algorithm = Algorithm::kNone;
  if (wanted == Algorithm::kNone || chunks.empty()) return;
  const size_t stored = Compress(wanted, InOnePiece(chunks, raw_bytes), raw_bytes,
                                 table + chunks.size() * kTableEntryBytes, raw_bytes * kWorthwhilePercent / 100);
  if (stored == 0) return;
  header.stored_bytes = static_cast<uint32_t>(stored);
  header.algorithm = wanted;
}

void SealRegion(const RegionHeader& header, const uint8_t* key, std::span<const ChunkSlice> chunks, uint8_t* region) {
  PackRegionHeader(header, region);
  uint8_t* payload = region + kRegionHeaderBytes;
  if (key == nullptr) {
    ChecksumInto(header, chunks, region);
  } else {
    uint8_t nonce[kNonceBytes];
    NonceOf(header, nonce);
    GcmMessage message(GcmMessage::Direction::kSeal, key, nonce, {region, kAssociatedBytes});
    if (header.algorithm == Algorithm::kNone) {
      message.Update({payload, header.table_bytes()}, payload);
      uint8_t* to = payload + header.table_bytes();
      for (const ChunkSlice& chunk : chunks) {
        message.Update(chunk.data, to);
        to += chunk.data.size();
      }
    } else {
      message.Update({payload, header.payload_bytes()}, payload);
    }
    message.Seal(region + kTagOffset);
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
  const uint8_t* const payload = region.data() + kRegionHeaderBytes;
  if (header.algorithm == Algorithm::kNone) {
    VerifyPlain(header, key, region, chunks);
    return;
  }
  const uint8_t* opened = payload;
  if (key == nullptr) {
    CheckChecksum(header, region.data());
  } else {
    Authenticate(header, key, region.data(), ThreadMemory::Get().payload());
    opened = ThreadMemory::Get().payload();
  }
  uint8_t* const expanded = ThreadMemory::Get().expanded();
  Expand(header, opened, expanded);
  CompareTable(expanded, chunks);
  const uint8_t* data = expanded + header.table_bytes();
  for (const ChunkSlice& chunk : chunks) {
    Compare(data, chunk.data);
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
