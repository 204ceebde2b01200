// The two compressors.

#include "data_path/compression.h"

#include <lz4.h>
#include <zstd.h>

#include <memory>

namespace coffer {

namespace {

/** zstd's own default level: the best ratio that still keeps up with a disk. */
constexpr int kZstdLevel = 3;

using Compressor = std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)>;
using Decompressor = std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)>;

/** What a pool thread keeps between jobs. */
struct Tools {
  Compressor compressor{ZSTD_createCCtx(), ZSTD_freeCCtx};
  Decompressor decompressor{ZSTD_createDCtx(), ZSTD_freeDCtx};
};

Tools& ThreadTools() {
  thread_local Tools tools;
  return tools;
}

}  // namespace

size_t Compress(Algorithm algorithm, const uint8_t* from, size_t bytes, uint8_t* to, size_t capacity) {
  if (algorithm == Algorithm::kLz4) {
    const int result = LZ4_compress_default(reinterpret_cast<const char*>(from), reinterpret_cast<char*>(to),
                                            static_cast<int>(bytes), static_cast<int>(capacity));
    return result > 0 ? static_cast<size_t>(result) : 0;
  }
  const size_t result = ZSTD_compressCCtx(ThreadTools().compressor.get(), to, capacity, from, bytes, kZstdLevel);
  return ZSTD_isError(result) ? 0 : result;
}

bool Decompress(Algorithm algorithm, const uint8_t* from, size_t bytes, uint8_t* to, size_t raw_bytes) {
  if (algorithm == Algorithm::kLz4) {
    return LZ4_decompress_safe(reinterpret_cast<const char*>(from), reinterpret_cast<char*>(to),
                               static_cast<int>(bytes),
                               static_cast<int>(raw_bytes)) == static_cast<int>(raw_bytes);
  }
  return ZSTD_decompressDCtx(ThreadTools().decompressor.get(), to, raw_bytes, from, bytes) == raw_bytes;
}

}  // namespace coffer
