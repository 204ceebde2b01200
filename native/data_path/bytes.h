// Little-endian loads and stores, for formats and hashes that must be the same on every machine.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace coffer {

template <typename Word>
Word LoadLittle(const uint8_t* from) {
  Word word;
  std::memcpy(&word, from, sizeof word);
  if constexpr (std::endian::native == std::endian::big) {
    Word swapped = 0;
    for (size_t index = 0; index < sizeof word; index++) swapped |= static_cast<Word>(from[index]) << (8 * index);
    return swapped;
  }
  return word;
}

template <typename Word>
void StoreLittle(uint8_t* to, Word word) {
  for (size_t index = 0; index < sizeof word; index++) to[index] = static_cast<uint8_t>(word >> (8 * index));
}

}  // namespace coffer
