// The work of the data path, as jobs for the pool. Constructed on the JavaScript thread; Run on a pool thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/job_pool.h"
#include "common/secret_memory.h"
#include "data_path/block_file.h"
#include "data_path/cutter.h"
#include "data_path/fingerprint.h"
#include "data_path/seal.h"

namespace coffer {

/** The fingerprint key and two multipliers of 4 bytes. */
inline constexpr size_t kChunkKeyBytes = kFingerprintKeyBytes + 8;

/** Cuts a piece of a stream and names its chunks. */
class CutJob : public Job {
 public:
  std::span<const uint8_t> data;
  CutParameters parameters;
  InstructionSet instruction_set = InstructionSet::kScalar;
  bool is_end = false;

  ~CutJob() override { explicit_bzero(&parameters, sizeof parameters); }
  /** Copies a group's chunk key: the fingerprint key, then the two multipliers of the cutter. */
  void TakeKey(std::span<const uint8_t> key);
  void Run() override;
  napi_value Result(napi_env env) override;

 private:
  SecretCopy<kFingerprintKeyBytes> fingerprint_key_;
  std::vector<uint32_t> lengths_;
  std::vector<uint8_t> fingerprints_;
  size_t consumed_ = 0;
};

/** Seals some regions, verifies them and writes them with one pwrite. */
class AppendJob : public Job {
 public:
  std::shared_ptr<BlockFile> file;
  uint64_t sequence = 0;
  Algorithm algorithm = Algorithm::kNone;
  bool verify = true;
  std::vector<ChunkSlice> chunks;
  /** how many chunks go into each region */
  std::vector<uint32_t> counts;

  void Run() override;
  napi_value Result(napi_env env) override;

 private:
  std::vector<uint32_t> pages_;
  std::vector<uint32_t> ordinals_;
  uint64_t end_bytes_ = 0;
  uint64_t written_bytes_ = 0;
  uint64_t stored_bytes_ = 0;
};

/** Reads one region and opens it into the caller's memory. */
class ReadJob : public Job {
 public:
  std::shared_ptr<BlockFile> file;
  uint32_t page = 0;
  /** what to read at first; the rest follows when the header asks for more */
  size_t guess_bytes = 0;
  std::span<uint8_t> out;

  void Run() override;
  napi_value Result(napi_env env) override;

 private:
  uint32_t chunk_count_ = 0;
  uint32_t first_ordinal_ = 0;
};

/** Creates or opens a block file. */
class FileJob : public Job {
 public:
  std::string path;
  BlockIdentity identity;
  bool is_new = false;
  uint64_t created_seconds = 0;

  void Run() override;
  napi_value Result(napi_env env) override;

 private:
  std::shared_ptr<BlockFile> file_;
};

/** Makes a block file's bytes, or a directory's entries, durable. */
class SyncJob : public Job {
 public:
  std::shared_ptr<BlockFile> file;
  std::string directory;

  void Run() override;
  napi_value Result(napi_env env) override;
};

/** Gives memory that the allocator holds and nobody uses back to the kernel. */
class TrimJob : public Job {
 public:
  void Run() override;
  napi_value Result(napi_env env) override;
};

/** The file behind a handle. @throws ArgumentError when it is closed */
std::shared_ptr<BlockFile> FileOf(napi_env env, napi_value handle);
/** Lets go of the file; jobs that use it keep it open until they end. */
void CloseFile(napi_env env, napi_value handle);

}  // namespace coffer
