// Fuzzes what reads block files: the two headers, and a region from its header to its decompressed chunks. The memory that
// each gets is exactly as large as promised, so that a sanitizer sees one byte more.
//
// An input is one byte of how (bit 0: make checksum and tag right, as a forger could; bit 1: seal it with a key first,
// as somebody with the key could), then the region.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <xxhash.h>

#include "data_path/bytes.h"
#include "data_path/cipher.h"
#include "data_path/region_format.h"
#include "data_path/seal.h"

namespace coffer {
namespace {

constexpr uint8_t kForge = 1;
constexpr uint8_t kSeal = 2;
constexpr size_t kBlockChecksumOffset = kPageBytes - 8;
constexpr size_t kSampleChunks = 3;
constexpr size_t kSampleChunkBytes = 700;
const uint8_t kKey[kKeyBytes] = {1, 2, 3};

void FuzzBlockHeader(const uint8_t* bytes, size_t size) {
  std::vector<uint8_t> page(kPageBytes);
  std::memcpy(page.data(), bytes, std::min(size, kPageBytes));
  BlockHeader header;
  ParseBlockHeader(page.data(), header);
  StoreLittle<uint64_t>(page.data() + kBlockChecksumOffset, XXH3_64bits(page.data(), kBlockChecksumOffset));
  ParseBlockHeader(page.data(), header);
}

/** What a job does with a region that it has read; see ReadJob::Run. */
void OpenAsRead(std::vector<uint8_t>& region, const uint8_t* key) {
  RegionHeader header;
  if (region.size() < kRegionHeaderBytes || !ParseRegionHeader(region.data(), header)) return;
  std::vector<uint8_t> out(header.table_bytes() + header.raw_bytes);
  if (out.size() > kPayloadBytesMax) std::abort();
  try {
    OpenRegionInPlace(header, key, region, out.data());
  } catch (const Damage&) {
    return;
  }
  // What opens has a table that adds up; readers rely on it.
  uint64_t total = 0;
  for (size_t slot = 0; slot < header.chunk_count; slot++) {
    total += LoadLittle<uint32_t>(out.data() + slot * kTableEntryBytes + 32);
  }
  if (total != header.raw_bytes) std::abort();
}

void FuzzRegion(uint8_t how, const uint8_t* bytes, size_t size) {
  std::vector<uint8_t> region(bytes, bytes + size);
  if ((how & kForge) != 0) ForgeRegion(region);
  const uint8_t* key = nullptr;
  RegionHeader header;
  if ((how & kSeal) != 0 && size >= kRegionHeaderBytes && ParseRegionHeader(region.data(), header) &&
      header.file_bytes() <= size) {
    key = kKey;
    // What it says of itself is sealed where it is.
    const ChunkSlice data{nullptr, {region.data() + kRegionHeaderBytes + header.table_bytes(), header.stored_bytes}};
    SealRegion(header, key, {&data, 1}, region.data());
  }
  OpenAsRead(region, key);
}

void WriteSeed(const std::string& directory, Algorithm algorithm, uint8_t how) {
  std::vector<std::vector<uint8_t>> datas;
  std::vector<ChunkSlice> chunks;
  const std::vector<uint8_t> fingerprint(32, 7);
  for (size_t index = 0; index < kSampleChunks; index++) {
    datas.emplace_back(kSampleChunkBytes + index, static_cast<uint8_t>('a' + index));
  }
  for (const auto& data : datas) chunks.push_back({fingerprint.data(), data});
  RegionHeader header;
  header.group = 1;
  header.block = 7;
  header.page = 1;
  header.sequence = 5;
  std::vector<uint8_t> region(kRegionBytesMax);
  GatherRegion(chunks, algorithm, header, region.data());
  SealRegion(header, nullptr, chunks, region.data());
  const std::string path =
      directory + "/region-" + std::to_string(static_cast<int>(algorithm)) + "-" + std::to_string(how);
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) std::abort();
  std::fputc(how, file);
  std::fwrite(region.data(), 1, header.file_bytes(), file);
  std::fclose(file);
}

}  // namespace
}  // namespace coffer

/** Makes the first inputs where COFFER_FUZZ_SEEDS says. */
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* directory = std::getenv("COFFER_FUZZ_SEEDS");
  if (directory == nullptr) return 0;
  for (int algorithm = 0; algorithm <= 2; algorithm++) {
    for (uint8_t how = 0; how <= 3; how++) {
      coffer::WriteSeed(directory, static_cast<coffer::Algorithm>(algorithm), how);
    }
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  coffer::FuzzBlockHeader(data + 1, size - 1);
  coffer::FuzzRegion(data[0], data + 1, size - 1);
  return 0;
}
