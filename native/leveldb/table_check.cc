// The format of a table (LevelDB's doc/table_format):
//
//   data blocks ‖ filter block ‖ metaindex block ‖ index block ‖ footer
//
//   block   contents, 1 byte of compression, 4 of masked CRC-32C over both
//   footer  handles of metaindex and index as varints, zeros up to 40 bytes, 8 bytes of magic
//
// The contents of all but the filter are entries and then restart points:
//
//   entry   varints: bytes shared with the key before, other bytes, value bytes; then the other bytes and the value
//   restart points: 32-bit offsets of entries that share nothing, then their count

#include "leveldb/table_check.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "leveldb/crc32c.h"

namespace coffer {

namespace {

/** Names have 255 bytes, and keys little more: a longer one would let a small file ask for much memory. */
constexpr uint64_t kKeyBytesMax = 4096;

constexpr size_t kTrailerBytes = 5;
constexpr size_t kHandlesBytes = 40;
constexpr size_t kFooterBytes = kTableFooterBytes;
static_assert(kFooterBytes == kHandlesBytes + 8);
constexpr uint64_t kMagic = 0xdb4775248b80fb57;
constexpr uint8_t kNoCompression = 0;
constexpr size_t kTagBytes = 8;
constexpr uint64_t kTypeMax = 1;
constexpr size_t kWordBytes = 4;
constexpr std::string_view kFilterKey = "filter.leveldb.BuiltinBloomFilter2";

/** What is wrong, and where in the file. */
struct Fault : std::runtime_error {
  Fault(uint64_t at, const std::string& what) : std::runtime_error(what), offset(at) {}
  uint64_t offset;
};

struct Handle {
  uint64_t offset = 0;
  uint64_t size = 0;
};

uint32_t Load32(const uint8_t* at) {
  return at[0] | at[1] << 8 | at[2] << 16 | static_cast<uint32_t>(at[3]) << 24;
}

uint64_t Load64(const uint8_t* at) { return Load32(at) | static_cast<uint64_t>(Load32(at + 4)) << 32; }

std::string_view TextOf(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/** Takes bytes from the front; never more than there are. */
class Reader {
 public:
  Reader(std::span<const uint8_t> bytes, uint64_t file_offset) : bytes_(bytes), start_(file_offset) {}

  bool IsAtEnd() const { return at_ == bytes_.size(); }
  size_t at() const { return at_; }

  uint64_t Varint(uint64_t maximum) {
    // Nearly all of them.
    if (at_ < bytes_.size() && bytes_[at_] < 0x80 && bytes_[at_] <= maximum) return bytes_[at_++];
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (IsAtEnd()) break;
      const uint8_t byte = bytes_[at_++];
      if (shift == 63 && byte > 1) break;
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) != 0) continue;
      if (value > maximum) break;
      return value;
    }
    throw Fault(start_ + at_, "a length makes no sense");
  }

  std::span<const uint8_t> Take(uint64_t count) {
    if (count > bytes_.size() - at_) throw Fault(start_ + at_, "an entry reaches beyond its block");
    const auto taken = bytes_.subspan(at_, count);
    at_ += count;
    return taken;
  }

 private:
  std::span<const uint8_t> bytes_;
  uint64_t start_;
  size_t at_ = 0;
};

Handle ReadHandle(Reader& reader) {
  Handle handle;
  handle.offset = reader.Varint(UINT64_MAX);
  handle.size = reader.Varint(UINT64_MAX);
  return handle;
}

struct Footer {
  Handle metaindex;
  Handle index;
};

/** @param at where the footer lies in the file */
Footer ParseFooter(std::span<const uint8_t> bytes, uint64_t at) {
  if (Load64(bytes.data() + kHandlesBytes) != kMagic) throw Fault(at, "the footer is damaged");
  Reader reader(bytes.first(kHandlesBytes), at);
  Footer footer;
  footer.metaindex = ReadHandle(reader);
  footer.index = ReadHandle(reader);
  const auto padding = reader.Take(kHandlesBytes - reader.at());
  if (std::any_of(padding.begin(), padding.end(), [](uint8_t byte) { return byte != 0; })) {
    throw Fault(at, "the footer is damaged");
  }
  return footer;
}

/** A file from some byte on to its end. */
struct FilePart {
  std::span<const uint8_t> bytes;
  uint64_t start = 0;

  uint64_t file_bytes() const { return start + bytes.size(); }
};

/** @throws Fault unless the block and its trailer lie before the footer */
void RequireWithin(uint64_t file_bytes, Handle handle) {
  const uint64_t limit = file_bytes - kFooterBytes;
  if (handle.offset > limit || handle.size > limit - handle.offset || limit - handle.offset - handle.size < kTrailerBytes) {
    throw Fault(std::min<uint64_t>(handle.offset, file_bytes), "a block lies outside of the file");
  }
}

/** The contents of a block whose checksum is right. */
std::span<const uint8_t> OpenBlock(const FilePart& file, Handle handle) {
  RequireWithin(file.file_bytes(), handle);
  if (handle.offset < file.start) throw Fault(handle.offset, "a block lies elsewhere than the footer says");
  const auto contents = file.bytes.subspan(handle.offset - file.start, handle.size);
  const uint8_t* trailer = contents.data() + contents.size();
  const auto covered = file.bytes.subspan(handle.offset - file.start, handle.size + 1);
  if (Load32(trailer + 1) != MaskCrc32c(Crc32c(covered))) throw Fault(handle.offset, "a block's checksum is wrong");
  if (trailer[0] != kNoCompression) throw Fault(handle.offset, "a block is compressed");
  return contents;
}

uint64_t EndOf(Handle handle) { return handle.offset + handle.size + kTrailerBytes; }

/** Where the entries end, and the restart points begin. */
size_t EntriesEnd(std::span<const uint8_t> contents, uint64_t at) {
  if (contents.size() < kWordBytes) throw Fault(at, "a block is too short");
  const uint64_t restarts = Load32(contents.data() + contents.size() - kWordBytes);
  if (restarts == 0 || restarts > contents.size() / kWordBytes - 1) throw Fault(at, "a block has no sound restart points");
  return contents.size() - (restarts + 1) * kWordBytes;
}

/** Decodes a block's entries; `visit(key, value)` is told of each. */
template <typename Visit>
void DecodeBlock(std::span<const uint8_t> contents, uint64_t at, std::string& key, Visit visit) {
  const size_t entries_end = EntriesEnd(contents, at);
  const size_t restarts = (contents.size() - entries_end) / kWordBytes - 1;
  Reader reader(contents.first(entries_end), at);
  size_t restart = 0;
  key.clear();
  while (!reader.IsAtEnd()) {
    const bool is_restart = restart < restarts && Load32(contents.data() + entries_end + restart * kWordBytes) == reader.at();
    const uint64_t shared = reader.Varint(UINT32_MAX);
    const uint64_t rest = reader.Varint(UINT32_MAX);
    const uint64_t value_bytes = reader.Varint(UINT32_MAX);
    if (shared + rest > kKeyBytesMax) throw Fault(at, "a key is longer than any that is written");
    if (shared > key.size() || (is_restart && shared != 0)) throw Fault(at, "a key shares more than there is");
    if (is_restart) restart++;
    key.resize(shared);
    key += TextOf(reader.Take(rest));
    visit(key, reader.Take(value_bytes));
  }
  // An empty block has one restart point, at 0.
  if (entries_end == 0 && restarts == 1 && Load32(contents.data()) == 0) return;
  if (restart != restarts) throw Fault(at, "a restart point lies between entries");
}

std::string_view UserKey(std::string_view internal_key) {
  return internal_key.substr(0, internal_key.size() - kTagBytes);
}

uint64_t TagOf(std::string_view internal_key) {
  return Load64(reinterpret_cast<const uint8_t*>(internal_key.data() + internal_key.size() - kTagBytes));
}

/** LevelDB's order: user keys ascending, and of each the newest first. */
int Compare(std::string_view left, std::string_view right) {
  const int order = UserKey(left).compare(UserKey(right));
  if (order != 0) return order;
  const uint64_t left_tag = TagOf(left);
  const uint64_t right_tag = TagOf(right);
  return left_tag > right_tag ? -1 : left_tag < right_tag ? 1 : 0;
}

void RequireInternalKey(std::string_view key, uint64_t at) {
  if (key.size() < kTagBytes) throw Fault(at, "a key is too short");
  if ((TagOf(key) & 0xff) > kTypeMax) throw Fault(at, "a key is of an unknown type");
}

class TableCheck {
 public:
  explicit TableCheck(FilePart file) : file_(file) {}

  /** @param reads_data false: only the places of data blocks and filter are checked */
  TableReport Run(bool reads_data) {
    try {
      ReadFooter();
      ReadIndex();
      uint64_t next = 0;
      for (size_t index = 0; index < blocks_.size(); index++) {
        const Handle handle = blocks_[index].handle;
        if (handle.offset != next) throw Fault(next, "there is a gap between blocks");
        RequireWithin(file_.file_bytes(), handle);
        if (reads_data) CheckData(index);
        next = EndOf(handle);
      }
      CheckMeta(next, reads_data);
    } catch (const Fault& fault) {
      // Not one data block's, so it may hide any key.
      Note(fault);
      report_.from.reset();
      report_.to.reset();
    }
    return std::move(report_);
  }

 private:
  struct DataBlock {
    /** at or behind the block's last key, before the next one's first */
    std::string separator;
    Handle handle;
  };

  void Note(const Fault& fault) {
    if (!report_.is_sound()) return;
    report_.reason = fault.what();
    report_.offset = fault.offset;
  }

  void ReadFooter() {
    if (file_.bytes.size() < kFooterBytes) throw Fault(0, "the file is shorter than a footer");
    const Footer footer = ParseFooter(file_.bytes.last(kFooterBytes), file_.file_bytes() - kFooterBytes);
    meta_ = footer.metaindex;
    index_ = footer.index;
  }

  void ReadIndex() {
    std::string key;
    DecodeBlock(OpenBlock(file_, index_), index_.offset, key, [&](const std::string& separator, auto value) {
      if (separator.size() < kTagBytes) throw Fault(index_.offset, "an index key is too short");
      if (!blocks_.empty() && Compare(blocks_.back().separator, separator) >= 0) {
        throw Fault(index_.offset, "the index is out of order");
      }
      Reader reader(value, index_.offset);
      const Handle handle = ReadHandle(reader);
      if (!reader.IsAtEnd()) throw Fault(index_.offset, "an index entry is too long");
      blocks_.push_back({separator, handle});
    });
  }

  void CheckData(size_t index) {
    try {
      DecodeData(index);
    } catch (const Fault& fault) {
      Note(fault);
      Cover(index);
    }
  }

  void DecodeData(size_t index) {
    const auto& [separator, handle] = blocks_[index];
    const auto contents = OpenBlock(file_, handle);
    std::string key;
    std::string& before = report_.largest_key;
    bool is_first = true;
    DecodeBlock(contents, handle.offset, key, [&](const std::string& found, auto) {
      RequireInternalKey(found, handle.offset);
      if (report_.entries > 0 && Compare(before, found) >= 0) throw Fault(handle.offset, "keys are out of order");
      if (is_first && index > 0 && Compare(blocks_[index - 1].separator, found) >= 0) {
        throw Fault(handle.offset, "a key lies before its block");
      }
      is_first = false;
      if (report_.entries++ == 0) report_.smallest_key = found;
      before = found;
    });
    if (is_first) throw Fault(handle.offset, "a block is empty");
    if (Compare(key, separator) > 0) throw Fault(handle.offset, "a key lies behind its block");
  }

  /** Adds the block's keys to the range of what is damaged. */
  void Cover(size_t index) {
    if (!has_cover_) report_.from = index == 0 ? "" : UserKey(blocks_[index - 1].separator);
    report_.to = UserKey(blocks_[index].separator);
    has_cover_ = true;
  }

  void CheckMeta(uint64_t next, bool reads_filter) {
    std::string key;
    std::optional<Handle> filter;
    DecodeBlock(OpenBlock(file_, meta_), meta_.offset, key, [&](const std::string& name, auto value) {
      Reader reader(value, meta_.offset);
      if (name != kFilterKey || filter) throw Fault(meta_.offset, "the metaindex names an unknown block");
      filter = ReadHandle(reader);
    });
    if (filter) {
      RequireWithin(file_.file_bytes(), *filter);
      if (reads_filter) OpenBlock(file_, *filter);
      if (filter->offset != next) throw Fault(next, "there is a gap before the filter");
      next = EndOf(*filter);
    }
    if (meta_.offset != next) throw Fault(next, "there is a gap before the metaindex");
    if (index_.offset != EndOf(meta_)) throw Fault(EndOf(meta_), "there is a gap before the index");
    if (EndOf(index_) != file_.file_bytes() - kFooterBytes) throw Fault(EndOf(index_), "there is a gap before the footer");
  }

  FilePart file_;
  Handle meta_;
  Handle index_;
  std::vector<DataBlock> blocks_;
  TableReport report_;
  bool has_cover_ = false;
};

}  // namespace

TableReport CheckTable(std::span<const uint8_t> bytes) { return TableCheck({bytes}).Run(true); }

std::optional<uint64_t> MetaindexOffset(std::span<const uint8_t> footer, uint64_t file_bytes) {
  try {
    const Handle metaindex = ParseFooter(footer, file_bytes - kFooterBytes).metaindex;
    RequireWithin(file_bytes, metaindex);
    return metaindex.offset;
  } catch (const Fault&) {
    return std::nullopt;
  }
}

TableReport CheckTableIndex(std::span<const uint8_t> tail, uint64_t file_bytes) {
  return TableCheck({tail, file_bytes - tail.size()}).Run(false);
}

}  // namespace coffer
