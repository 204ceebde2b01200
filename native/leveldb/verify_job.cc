// Reading of tables: never through a mapping, where a bad sector would end the process.

#include "leveldb/verify_job.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>

#include "common/arena.h"
#include "common/coded_error.h"
#include "common/file_descriptor.h"
#include "common/napi_util.h"

namespace coffer {

namespace {

constexpr size_t kPageBytes = 4096;
/** LevelDB's tables have 16 MiB, and somewhat more where a record is large. A wrong size in a manifest may not take all memory. */
constexpr uint64_t kTableBytesMax = uint64_t{1} << 30;
/** One read per so many bytes, as large as disks like them. */
constexpr size_t kPieceBytes = size_t{1} << 20;

FileDescriptor OpenTable(const std::string& path, bool from_disk) {
  // What stands in a table's place is neither followed nor waited for.
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  int descriptor = from_disk ? open(path.c_str(), kFlags | O_DIRECT) : open(path.c_str(), kFlags);
  if (descriptor < 0 && errno == EINVAL && from_disk) {
    // No O_DIRECT here. Pages that LevelDB has mapped stay in the cache.
    descriptor = open(path.c_str(), kFlags);
    if (descriptor >= 0) posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
  }
  if (descriptor < 0) throw SystemError(errno, "open " + path);
  return FileDescriptor(descriptor);
}

size_t RoundUp(size_t bytes) { return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes; }

/** @returns bytes read, fewer than asked for at the file's end; -1 with errno */
ssize_t ReadAll(int descriptor, uint8_t* target, size_t room, uint64_t from = 0) {
  size_t done = 0;
  while (done < room) {
    const ssize_t count = pread(descriptor, target + done, std::min(kPieceBytes, room - done), static_cast<off_t>(from + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    done += static_cast<size_t>(count);
    // With O_DIRECT, only the end of the file leaves part of a page.
    if (count == 0 || (from == 0 && done % kPageBytes != 0)) break;
  }
  return static_cast<ssize_t>(done);
}

TableReport Unreadable(const std::string& reason) {
  TableReport report;
  report.reason = reason;
  return report;
}

}  // namespace

void VerifyJob::Run() {
  const FileDescriptor file = OpenTable(path, from_disk);
  struct stat found;
  if (fstat(file.Get(), &found) != 0) throw SystemError(errno, "stat " + path);
  if (!S_ISREG(found.st_mode)) {
    report_ = Unreadable("it is no regular file");
    return;
  }
  const auto bytes = static_cast<uint64_t>(found.st_size);
  if (bytes != expected_bytes || bytes > kTableBytesMax) {
    report_ = Unreadable("it has " + std::to_string(bytes) + " bytes, not " + std::to_string(expected_bytes));
    return;
  }
  report_ = index_only ? CheckIndex(file.Get(), bytes) : CheckWhole(file.Get(), bytes);
}

TableReport VerifyJob::CheckWhole(int descriptor, uint64_t bytes) const {
  // One page more, so that a full read shows the end of the file.
  const size_t room = RoundUp(bytes) + kPageBytes;
  const Mapping memory(room, false);
  const ssize_t count = ReadAll(descriptor, memory.data(), room);
  if (count < 0) return Unreadable(SystemError(errno, "the disk can't read it").what());
  if (static_cast<uint64_t>(count) != bytes) {
    return Unreadable("it can be read up to byte " + std::to_string(count));
  }
  return CheckTable({memory.data(), static_cast<size_t>(bytes)});
}

TableReport VerifyJob::CheckIndex(int descriptor, uint64_t bytes) const {
  uint8_t footer[kTableFooterBytes];
  if (bytes < sizeof(footer)) return Unreadable("the file is shorter than a footer");
  if (ReadAll(descriptor, footer, sizeof(footer), bytes - sizeof(footer)) != sizeof(footer)) {
    return Unreadable("the footer can't be read");
  }
  const auto start = MetaindexOffset(footer, bytes);
  if (!start) return Unreadable("the footer is damaged");
  const auto tail_bytes = static_cast<size_t>(bytes - *start);
  const Mapping memory(RoundUp(tail_bytes), false);
  const ssize_t count = ReadAll(descriptor, memory.data(), tail_bytes, *start);
  if (count < 0) return Unreadable(SystemError(errno, "the disk can't read it").what());
  if (static_cast<size_t>(count) != tail_bytes) return Unreadable("the index can't be read");
  return CheckTableIndex({memory.data(), tail_bytes}, bytes);
}

namespace {

napi_value MakeKey(napi_env env, const std::string& key) {
  return MakeBytes(env, {reinterpret_cast<const uint8_t*>(key.data()), key.size()});
}

}  // namespace

napi_value VerifyJob::Result(napi_env env) {
  napi_value result;
  Check(napi_create_object(env, &result));
  if (report_.is_sound()) {
    SetProperty(env, result, "entries", MakeNumber(env, static_cast<double>(report_.entries)));
    SetProperty(env, result, "smallestKey", MakeKey(env, report_.smallest_key));
    SetProperty(env, result, "largestKey", MakeKey(env, report_.largest_key));
    return result;
  }
  SetProperty(env, result, "reason", MakeString(env, report_.reason));
  SetProperty(env, result, "offset", MakeNumber(env, static_cast<double>(report_.offset)));
  if (report_.from) SetProperty(env, result, "from", MakeKey(env, *report_.from));
  if (report_.to) SetProperty(env, result, "to", MakeKey(env, *report_.to));
  return result;
}

}  // namespace coffer
