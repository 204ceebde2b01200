// Checks the bytes of one LevelDB table, trusting none of them. This is an implementation of its own, so that a mistake of
// LevelDB's shows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace coffer {

struct TableReport {
  uint64_t entries = 0;
  /** internal keys: a user key and eight bytes of sequence number and type; those of the readable entries */
  std::string smallest_key;
  std::string largest_key;
  /** what is damaged, of the first damage; empty for a sound table */
  std::string reason;
  /** where the first damage is */
  uint64_t offset = 0;
  /** user keys around everything that is damaged, both ends inclusive; absent where the damage may hide any key */
  std::optional<std::string> from;
  std::optional<std::string> to;

  bool is_sound() const { return reason.empty(); }
};

constexpr size_t kTableFooterBytes = 48;

/** @param bytes the whole file */
TableReport CheckTable(std::span<const uint8_t> bytes);

/**
 * Where the metaindex begins, behind which only the index and the footer lie; nothing for a damaged footer.
 * @param footer the last kTableFooterBytes of the file
 */
std::optional<uint64_t> MetaindexOffset(std::span<const uint8_t> footer, uint64_t file_bytes);

/**
 * Checks the blocks that name all others: whether each handle is that of a block within the file. LevelDB allocates what a
 * handle says, so a wrong one would end the process.
 * @param tail the file from its metaindex on
 */
TableReport CheckTableIndex(std::span<const uint8_t> tail, uint64_t file_bytes);

}  // namespace coffer
