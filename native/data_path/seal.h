// Sealing a region and opening it again. Opening trusts nothing: every length is checked before it is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>

#include "data_path/region_format.h"

namespace coffer {

struct ChunkSlice {
  const uint8_t* fingerprint;
  std::span<const uint8_t> data;
};

/** A region that can't be trusted. `reason` is one of the contract's words. */
class Damage : public std::runtime_error {
 public:
  Damage(std::string reason, const std::string& message) : std::runtime_error(message), reason_(std::move(reason)) {}
  const std::string& reason() const { return reason_; }

 private:
  std::string reason_;
};

/**
 * First half: the table into `region` (kRegionBytesMax bytes), after the space of the header, and the data behind it
 * where it shrinks; otherwise the data stays where it is, for the second half to take. Sets the header's lengths and
 * algorithm; `wanted` is what the policy asks for.
 */
void GatherRegion(std::span<const ChunkSlice> chunks, Algorithm wanted, RegionHeader& header, uint8_t* region);

/**
 * Second half, when the page is known: header, encryption or checksum, padding. Data that isn't compressed is sealed on
 * its only way from the chunks' memory to the region. `key` is null for clear regions.
 */
void SealRegion(const RegionHeader& header, const uint8_t* key, std::span<const ChunkSlice> chunks, uint8_t* region);

/**
 * Opens the region at the start of `region` into `out` (kPayloadBytesMax bytes): the table, then the raw bytes.
 * Encrypted and compressed regions are decrypted in place. @throws Damage
 */
void OpenRegionInPlace(const RegionHeader& header, const uint8_t* key, std::span<uint8_t> region, uint8_t* out);

/** Opens without touching `region` and compares with what was to be sealed. @throws Damage */
void VerifyRegion(const RegionHeader& header, const uint8_t* key, std::span<const uint8_t> region,
                  std::span<const ChunkSlice> chunks);

/**
 * Makes tag and header checksum of a clear region right for whatever its bytes say, as a forger could; for tests of
 * what comes after the tag. Does nothing more than the checksum when the header is out of its limits.
 */
void ForgeRegion(std::span<uint8_t> region);

}  // namespace coffer
