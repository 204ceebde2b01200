// Content-defined cutting by asymmetric extremum (AE), keyed.
//
// Position i of a stream has the value load32(i) * k1 + load32(i + 4) * k2 (mod 2^32, little-endian loads, k1 and k2
// secret and odd), so it covers the 8 bytes from i on. A chunk that starts at s is cut like this:
//
//   place = s, greatest = value(s)
//   for i = s + 1, s + 2, ...
//     if value(i) > greatest: greatest = value(i), place = i
//     else if i == place + window: the chunk is [s, i + 1)
//     if i + 1 - s == maximum: the chunk is [s, i + 1)
//
// Hence a chunk has at least window + 1 bytes, and where it ends depends on its own bytes and the 7 after them, never
// on what came before or on how the stream was handed over. The last 7 bytes of a stream have no value: what no cut
// was found in ends there (or at the maximum).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace coffer {

struct CutParameters {
  /** the multipliers, odd */
  uint32_t key_low = 1;
  uint32_t key_high = 1;
  uint32_t window = 1;
  uint32_t bytes_max = 1;
};

/** Bytes that the value of a position covers. */
inline constexpr size_t kCutReach = 8;

enum class InstructionSet { kScalar, kAvx2, kAvx512 };

/** The best that this processor has. */
InstructionSet BestInstructionSet();
/** For tests and comparison, and before the first cut; what the processor doesn't have is ignored. */
void SetInstructionSet(InstructionSet set);
/** The best one unless another was set. */
InstructionSet CurrentInstructionSet();

/**
 * The length of the chunk at the start of `data`, or 0 when only more bytes can tell. With `is_end` it is never 0
 * unless data is empty.
 */
size_t CutOne(std::span<const uint8_t> data, const CutParameters& parameters, bool is_end, InstructionSet set);

}  // namespace coffer
