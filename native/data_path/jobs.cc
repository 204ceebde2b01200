// What each job does.

#include "data_path/jobs.h"

#include <algorithm>

// Known by now, and not of every C library.
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "common/napi_util.h"
#include "data_path/bytes.h"
#include "data_path/fingerprint.h"
#include "data_path/thread_memory.h"

namespace coffer {

namespace {

using FileHandle = std::shared_ptr<BlockFile>;

/** Damage becomes a rejection whose code names the reason. */
[[noreturn]] void Reject(const Damage& damage) { throw CodedError("DAMAGE_" + damage.reason(), damage.what()); }

FileHandle* HandleOf(napi_env env, napi_value handle) {
  napi_valuetype type;
  Check(napi_typeof(env, handle, &type));
  if (type != napi_external) throw ArgumentError("A block file's handle is expected");
  void* data = nullptr;
  Check(napi_get_value_external(env, handle, &data));
  return static_cast<FileHandle*>(data);
}

}  // namespace

FileHandle FileOf(napi_env env, napi_value handle) {
  FileHandle file = *HandleOf(env, handle);
  if (!file) throw ArgumentError("The block file is closed");
  return file;
}

void CloseFile(napi_env env, napi_value handle) { HandleOf(env, handle)->reset(); }

void CutJob::TakeKey(std::span<const uint8_t> key) {
  fingerprint_key_.Fill(key.first(kFingerprintKeyBytes));
  parameters.key_low = LoadLittle<uint32_t>(key.data() + kFingerprintKeyBytes) | 1;
  parameters.key_high = LoadLittle<uint32_t>(key.data() + kFingerprintKeyBytes + 4) | 1;
}

void CutJob::Run() {
  // Chunks of the average size are expected; a little more saves growing.
  lengths_.reserve(data.size() / (parameters.window + 1) + 1);
  fingerprints_.reserve(lengths_.capacity() * kFingerprintBytes);
  while (consumed_ < data.size()) {
    const auto rest = data.subspan(consumed_);
    const size_t length = CutOne(rest, parameters, is_end, instruction_set);
    if (length == 0) break;
    fingerprints_.resize(fingerprints_.size() + kFingerprintBytes);
    Fingerprint(rest.first(length), fingerprint_key_.data(), fingerprints_.data() + fingerprints_.size() - kFingerprintBytes);
    lengths_.push_back(static_cast<uint32_t>(length));
    consumed_ += length;
  }
}

napi_value CutJob::Result(napi_env env) {
  napi_value result;
  Check(napi_create_object(env, &result));
  SetProperty(env, result, "lengths", MakeWords(env, lengths_));
  SetProperty(env, result, "fingerprints", MakeBytes(env, fingerprints_));
  SetProperty(env, result, "consumedBytes", MakeNumber(env, static_cast<double>(consumed_)));
  return result;
}

void AppendJob::Run() {
  uint8_t* const batch = ThreadMemory::Get().batch();
  std::vector<RegionHeader> headers(counts.size());
  std::vector<size_t> starts(counts.size());
  std::vector<std::span<const ChunkSlice>> slices(counts.size());
  size_t used = 0;
  size_t first = 0;
  for (size_t index = 0; index < counts.size(); index++) {
    RegionHeader& header = headers[index];
    header.group = file->identity().group;
    header.key_id = file->identity().key_id;
    header.block = file->identity().block;
    header.sequence = sequence;
    slices[index] = std::span<const ChunkSlice>(chunks).subspan(first, counts[index]);
    first += counts[index];
    starts[index] = used;
    GatherRegion(slices[index], algorithm, header, batch + used);
    used += header.file_bytes();
    stored_bytes_ += header.stored_bytes;
  }
  // Only now are the sizes known, and with them the pages that the nonces are made of.
  const Place place = file->Reserve(used, chunks.size());
  const uint64_t offset = place.offset;
  uint32_t ordinal = place.ordinal;
  try {
    for (size_t index = 0; index < counts.size(); index++) {
      RegionHeader& header = headers[index];
      uint8_t* region = batch + starts[index];
      header.page = static_cast<uint32_t>((offset + starts[index]) / kPageBytes);
      header.first_ordinal = ordinal;
      ordinal += counts[index];
      SealRegion(header, file->key(), slices[index], region);
      if (verify) VerifyRegion(header, file->key(), {region, header.file_bytes()}, slices[index]);
      pages_.push_back(header.page);
      ordinals_.push_back(header.first_ordinal);
    }
  } catch (const Damage& damage) {
    throw CodedError("EIO", std::string("A sealed region didn't open again: ") + damage.what());
  }
  file->Write({batch, used}, offset);
  end_bytes_ = offset + used;
  written_bytes_ = used;
}

napi_value AppendJob::Result(napi_env env) {
  napi_value result;
  Check(napi_create_object(env, &result));
  SetProperty(env, result, "pages", MakeWords(env, pages_));
  SetProperty(env, result, "ordinals", MakeWords(env, ordinals_));
  SetProperty(env, result, "endBytes", MakeNumber(env, static_cast<double>(end_bytes_)));
  SetProperty(env, result, "writtenBytes", MakeNumber(env, static_cast<double>(written_bytes_)));
  SetProperty(env, result, "compressedBytes", MakeNumber(env, static_cast<double>(stored_bytes_)));
  return result;
}

void ReadJob::Run() try {
  uint8_t* const input = ThreadMemory::Get().input();
  const uint64_t offset = uint64_t{page} * kPageBytes;
  size_t got = file->Read({input, std::clamp(RoundUpToPage(guess_bytes), kPageBytes, kRegionBytesMax)}, offset);
  if (got < kRegionHeaderBytes) throw Damage("truncated", "The block file ends before the region");
  RegionHeader header;
  if (!ParseRegionHeader(input, header)) throw Damage("header", "There is no region here");
  const BlockIdentity& identity = file->identity();
  if (header.group != identity.group || header.block != identity.block || header.key_id != identity.key_id ||
      header.page != page) {
    throw Damage("header", "The region belongs somewhere else");
  }
  if (got < header.file_bytes() && got % kPageBytes == 0) {
    got += file->Read({input + got, header.file_bytes() - got}, offset + got);
  }
  if (out.size() < header.table_bytes() + header.raw_bytes) throw CodedError("ADDON_FAILURE", "The slot is too small");
  OpenRegionInPlace(header, file->key(), {input, got}, out.data());
  chunk_count_ = header.chunk_count;
  first_ordinal_ = header.first_ordinal;
} catch (const Damage& damage) {
  Reject(damage);
}

napi_value ReadJob::Result(napi_env env) {
  napi_value result;
  Check(napi_create_object(env, &result));
  SetProperty(env, result, "chunkCount", MakeNumber(env, chunk_count_));
  SetProperty(env, result, "firstOrdinal", MakeNumber(env, first_ordinal_));
  return result;
}

void FileJob::Run() try {
  file_ = is_new ? BlockFile::Create(path, identity, created_seconds) : BlockFile::Open(path, identity);
} catch (const Damage& damage) {
  Reject(damage);
}

napi_value FileJob::Result(napi_env env) {
  napi_value result;
  auto handle = std::make_unique<FileHandle>(std::move(file_));
  Check(napi_create_external(
      env, handle.get(), [](napi_env, void* data, void*) { delete static_cast<FileHandle*>(data); }, nullptr,
      &result));
  handle.release();
  return result;
}

void SyncJob::Run() {
  if (file) {
    file->Sync();
  } else {
    SyncDirectory(directory);
  }
}

napi_value SyncJob::Result(napi_env env) { return MakeUndefined(env); }

void TrimJob::Run() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

napi_value TrimJob::Result(napi_env env) { return MakeUndefined(env); }

}  // namespace coffer
