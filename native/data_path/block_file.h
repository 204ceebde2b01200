// One block file on disk: aligned reads and writes, past the page cache where the filesystem lets us.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "common/secret_memory.h"
#include "data_path/cipher.h"
#include "data_path/region_format.h"

namespace coffer {

/** What a block file is expected to be, and the content encryption key (null when the key id is 0). */
struct BlockIdentity {
  uint16_t group = 0;
  uint16_t key_id = 0;
  uint32_t block = 0;
  bool has_key = false;
  SecretCopy<kKeyBytes> content_key;
};

/** Where a reservation begins. */
struct Place {
  uint64_t offset = 0;
  uint32_t ordinal = 0;
};

class BlockFile {
 public:
  /** Makes a new file with its header page; nothing is left behind on failure. @throws CodedError with the errno's name */
  static std::shared_ptr<BlockFile> Create(const std::string& path, const BlockIdentity& identity,
                                           uint64_t created_seconds);
  /** Opens for reading and checks the header page. @throws CodedError, Damage */
  static std::shared_ptr<BlockFile> Open(const std::string& path, const BlockIdentity& identity);

  ~BlockFile();
  BlockFile(const BlockFile&) = delete;
  BlockFile& operator=(const BlockFile&) = delete;

  const BlockIdentity& identity() const { return identity_; }
  /** The key of this file's regions; null when they are clear. */
  const uint8_t* key() const { return identity_.has_key ? key_.data() : nullptr; }

  /** Takes `bytes` of the file's end and as many ordinals for the caller alone. @throws CodedError EFBIG */
  Place Reserve(size_t bytes, size_t chunks);
  /** All of `bytes`, whole pages from page-aligned memory. @throws CodedError with the errno's name */
  void Write(std::span<const uint8_t> bytes, uint64_t offset);
  /** How much could be read; less than asked only at the end of the file. @throws Damage "io" */
  size_t Read(std::span<uint8_t> bytes, uint64_t offset);
  /** fdatasync. @throws CodedError with the errno's name */
  void Sync();

 private:
  BlockFile(int descriptor, const BlockIdentity& identity) : descriptor_(descriptor), identity_(identity) {}
  /** Derives the file's key and forgets the content encryption key. @throws CodedError KEY_UNUSABLE for zeros */
  void TakeKey(std::span<const uint8_t> salt);
  bool DropDirect();

  int descriptor_;
  BlockIdentity identity_;
  SecretCopy<kKeyBytes> key_;
  std::mutex tail_mutex_;
  /** only grows: a place is never given again, whatever becomes of what was meant for it */
  Place tail_{kPageBytes, 0};
};

/** fsync of a directory. @throws CodedError with the errno's name */
void SyncDirectory(const std::string& path);

}  // namespace coffer
