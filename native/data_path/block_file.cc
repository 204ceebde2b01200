// File I/O of block files.

#include "data_path/block_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/coded_error.h"
#include "data_path/seal.h"
#include "data_path/thread_memory.h"

namespace coffer {

namespace {

constexpr mode_t kFileMode = 0600;

int OpenDirect(const std::string& path, int flags) {
  int descriptor = open(path.c_str(), flags | O_DIRECT | O_CLOEXEC, kFileMode);
  if (descriptor < 0 && errno == EINVAL) {
    // Some filesystems know no O_DIRECT. The refused attempt can have created the file already.
    descriptor = open(path.c_str(), (flags & ~O_EXCL) | O_CLOEXEC, kFileMode);
  }
  return descriptor;
}

}  // namespace

std::shared_ptr<BlockFile> BlockFile::Create(const std::string& path, const BlockIdentity& identity,
                                             uint64_t created_seconds) {
  BlockHeader header;
  header.group = identity.group;
  header.key_id = identity.key_id;
  header.block = identity.block;
  header.created_seconds = created_seconds;
  if (getrandom(header.salt, kSaltBytes, 0) != static_cast<ssize_t>(kSaltBytes)) throw SystemError(errno, "getrandom");
  const int descriptor = OpenDirect(path, O_RDWR | O_CREAT | O_EXCL);
  if (descriptor < 0) throw SystemError(errno, "create " + path);
  std::shared_ptr<BlockFile> file(new BlockFile(descriptor, identity));
  uint8_t* page = ThreadMemory::Get().page();
  PackBlockHeader(header, page);
  try {
    if (identity.has_key) file->TakeKey(header.salt);
    file->Write({page, kPageBytes}, 0);
  } catch (...) {
    unlink(path.c_str());
    throw;
  }
  return file;
}

std::shared_ptr<BlockFile> BlockFile::Open(const std::string& path, const BlockIdentity& identity) {
  // Whatever stands in its place is not followed elsewhere, nor waited for.
  const int descriptor = OpenDirect(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0) {
    if (errno == ENOENT) throw Damage("missing", "The block file is missing: " + path);
    throw SystemError(errno, "open " + path);
  }
  std::shared_ptr<BlockFile> file(new BlockFile(descriptor, identity));
  struct stat found;
  if (fstat(descriptor, &found) != 0 || !S_ISREG(found.st_mode)) throw Damage("io", "No regular file: " + path);
  uint8_t* page = ThreadMemory::Get().page();
  if (file->Read({page, kPageBytes}, 0) < kPageBytes) throw Damage("truncated", "The block file has no header page");
  BlockHeader header;
  if (!ParseBlockHeader(page, header)) throw Damage("header", "Not a block file of a known version: " + path);
  if (header.group != identity.group || header.block != identity.block || header.key_id != identity.key_id) {
    throw Damage("header", "The block file is another one than its name says: " + path);
  }
  if (identity.has_key) file->TakeKey(header.salt);
  return file;
}

void BlockFile::TakeKey(std::span<const uint8_t> salt) {
  // A wiped key consists of zeros, and anybody could open data that is sealed with zeros.
  if (IsAllZero({identity_.content_key.data(), kKeyBytes})) throw CodedError("KEY_UNUSABLE", "A key of zeros is none");
  uint8_t derived[kKeyBytes];
  DeriveBlockKey(identity_.content_key.data(), salt, derived);
  key_.Fill(derived);
  explicit_bzero(derived, sizeof derived);
  // The file's own key is enough from here on.
  identity_.content_key.Wipe();
}

BlockFile::~BlockFile() {
  close(descriptor_);
}

bool BlockFile::DropDirect() {
  const int flags = fcntl(descriptor_, F_GETFL);
  return (flags & O_DIRECT) != 0 && fcntl(descriptor_, F_SETFL, flags & ~O_DIRECT) == 0;
}

Place BlockFile::Reserve(size_t bytes, size_t chunks) {
  const std::lock_guard<std::mutex> lock(tail_mutex_);
  const Place start = tail_;
  if (start.offset + bytes > kBlockBytesMax || start.ordinal + chunks > kBlockChunksMax) {
    throw CodedError("EFBIG", "The block file is full");
  }
  tail_.offset += bytes;
  tail_.ordinal += static_cast<uint32_t>(chunks);
  return start;
}

void BlockFile::Write(std::span<const uint8_t> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR || (errno == EINVAL && DropDirect())) continue;
      throw SystemError(errno, "write");
    }
    if (written == 0) throw SystemError(EIO, "write");
    // What follows a short write decides: the rest goes through, or names its error.
    if (written % kPageBytes != 0) DropDirect();
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
}

size_t BlockFile::Read(std::span<uint8_t> bytes, uint64_t offset) {
  size_t total = 0;
  while (total < bytes.size()) {
    const ssize_t got =
        pread(descriptor_, bytes.data() + total, bytes.size() - total, static_cast<off_t>(offset + total));
    if (got < 0) {
      if (errno == EINTR || (errno == EINVAL && DropDirect())) continue;
      throw Damage("io", std::string("read: ") + std::strerror(errno));
    }
    if (got == 0) break;
    total += static_cast<size_t>(got);
    // A read that ends off a page has met the end of the file; asking again from there would be refused.
    if (got % kPageBytes != 0) break;
  }
  return total;
}

void BlockFile::Sync() {
  if (fdatasync(descriptor_) != 0) throw SystemError(errno, "fdatasync");
}

void SyncDirectory(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) throw SystemError(errno, "open " + path);
  const int result = fsync(descriptor);
  const int number = errno;
  close(descriptor);
  if (result != 0) throw SystemError(number, "fsync " + path);
}

}  // namespace coffer
