// Compression and its way back, with what each thread needs for it kept from call to call.
#pragma once

#include <cstddef>
#include <cstdint>

#include "data_path/region_format.h"

namespace coffer {

/** Bytes written, 0 when the result wouldn't fit in `capacity`. `algorithm` is not kNone. */
size_t Compress(Algorithm algorithm, const uint8_t* from, size_t bytes, uint8_t* to, size_t capacity);
/** False unless the result has exactly `raw_bytes`. */
bool Decompress(Algorithm algorithm, const uint8_t* from, size_t bytes, uint8_t* to, size_t raw_bytes);

}  // namespace coffer
