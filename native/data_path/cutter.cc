// The cutter. The vector kernels only skip over blocks of 64 positions that surely hold no cut, and find the greatest
// value in them; everything near a boundary is the scalar loop's, so the cuts are the same by construction.

#include "data_path/cutter.h"

#include <algorithm>
#include <atomic>

#include "data_path/bytes.h"

#if defined(__x86_64__)
#include <immintrin.h>
// GCC 12's own headers make "undefined" vectors by reading uninitialised ones.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

namespace coffer {

namespace {

/** Positions that one step of a vector kernel covers. */
constexpr size_t kBlock = 64;

struct Extremum {
  uint32_t greatest;
  size_t place;
};

inline uint32_t ValueAt(const uint8_t* at, const CutParameters& parameters) {
  return LoadLittle<uint32_t>(at) * parameters.key_low + LoadLittle<uint32_t>(at + 4) * parameters.key_high;
}

// A kernel takes the positions from `from` on, whole blocks only, while the block ends before both `limit` and the
// place of a cut, and returns the first position that it didn't take.
using Kernel = size_t (*)(const uint8_t* data, size_t from, size_t limit, const CutParameters& parameters,
                          Extremum& extremum);

#if defined(__x86_64__)

// Position p + 4 * lane + shift is in lane `lane` of the vector loaded at p + shift.

__attribute__((target("avx512f,avx512bw"))) size_t SkipAvx512(const uint8_t* data, size_t from, size_t limit,
                                                              const CutParameters& parameters, Extremum& extremum) {
  const __m512i low = _mm512_set1_epi32(static_cast<int>(parameters.key_low));
  const __m512i high = _mm512_set1_epi32(static_cast<int>(parameters.key_high));
  size_t at = from;
  while (at + kBlock <= std::min(limit, extremum.place + parameters.window)) {
    __m512i values[4];
    for (size_t shift = 0; shift < 4; shift++) {
      const __m512i first = _mm512_loadu_si512(data + at + shift);
      const __m512i second = _mm512_loadu_si512(data + at + shift + 4);
      values[shift] = _mm512_add_epi32(_mm512_mullo_epi32(first, low), _mm512_mullo_epi32(second, high));
    }
    const __m512i greatest =
        _mm512_max_epu32(_mm512_max_epu32(values[0], values[1]), _mm512_max_epu32(values[2], values[3]));
    if (_mm512_cmpgt_epu32_mask(greatest, _mm512_set1_epi32(static_cast<int>(extremum.greatest))) != 0) {
      extremum.greatest = _mm512_reduce_max_epu32(greatest);
      const __m512i wanted = _mm512_set1_epi32(static_cast<int>(extremum.greatest));
      size_t place = kBlock;
      for (size_t shift = 0; shift < 4; shift++) {
        const uint32_t mask = _mm512_cmpeq_epi32_mask(values[shift], wanted);
        if (mask != 0) place = std::min(place, 4 * static_cast<size_t>(__builtin_ctz(mask)) + shift);
      }
      extremum.place = at + place;
    }
    at += kBlock;
  }
  return at;
}

__attribute__((target("avx2"))) size_t SkipAvx2(const uint8_t* data, size_t from, size_t limit,
                                                const CutParameters& parameters, Extremum& extremum) {
  const __m256i low = _mm256_set1_epi32(static_cast<int>(parameters.key_low));
  const __m256i high = _mm256_set1_epi32(static_cast<int>(parameters.key_high));
  size_t at = from;
  while (at + kBlock <= std::min(limit, extremum.place + parameters.window)) {
    // Two halves of 32 positions; index 4 * half + shift.
    __m256i values[8];
    __m256i greatest = _mm256_setzero_si256();
    for (size_t index = 0; index < 8; index++) {
      const uint8_t* start = data + at + index / 4 * 32 + index % 4;
      const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(start));
      const __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(start + 4));
      values[index] = _mm256_add_epi32(_mm256_mullo_epi32(first, low), _mm256_mullo_epi32(second, high));
      greatest = _mm256_max_epu32(greatest, values[index]);
    }
    const __m256i so_far = _mm256_set1_epi32(static_cast<int>(extremum.greatest));
    const __m256i is_within = _mm256_cmpeq_epi32(_mm256_max_epu32(greatest, so_far), so_far);
    if (_mm256_movemask_epi8(is_within) != -1) {
      alignas(32) uint32_t lanes[8];
      _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), greatest);
      extremum.greatest = *std::max_element(lanes, lanes + 8);
      const __m256i wanted = _mm256_set1_epi32(static_cast<int>(extremum.greatest));
      size_t place = kBlock;
      for (size_t index = 0; index < 8; index++) {
        const __m256i is_equal = _mm256_cmpeq_epi32(values[index], wanted);
        const auto mask = static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(is_equal)));
        if (mask != 0) {
          place = std::min(place, index / 4 * 32 + 4 * static_cast<size_t>(__builtin_ctz(mask)) + index % 4);
        }
      }
      extremum.place = at + place;
    }
    at += kBlock;
  }
  return at;
}

#endif

size_t SkipNothing(const uint8_t*, size_t from, size_t, const CutParameters&, Extremum&) { return from; }

Kernel KernelOf(InstructionSet set) {
#if defined(__x86_64__)
  if (set == InstructionSet::kAvx512) return SkipAvx512;
  if (set == InstructionSet::kAvx2) return SkipAvx2;
#endif
  (void)set;
  return SkipNothing;
}

}  // namespace

InstructionSet BestInstructionSet() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) return InstructionSet::kAvx512;
  if (__builtin_cpu_supports("avx2")) return InstructionSet::kAvx2;
#endif
  return InstructionSet::kScalar;
}

namespace {

std::atomic<InstructionSet> current{BestInstructionSet()};

}  // namespace

void SetInstructionSet(InstructionSet set) { current = std::min(set, BestInstructionSet()); }

InstructionSet CurrentInstructionSet() { return current.load(std::memory_order_relaxed); }

size_t CutOne(std::span<const uint8_t> data, const CutParameters& parameters, bool is_end, InstructionSet set) {
  const size_t available = data.size();
  const size_t bytes_max = parameters.bytes_max;
  if (available < kCutReach) return is_end ? std::min(available, bytes_max) : 0;
  // Positions with a value, the ones beyond the maximum left out.
  const size_t limit = std::min(available - kCutReach + 1, bytes_max);
  const Kernel skip = KernelOf(set);
  Extremum extremum{ValueAt(data.data(), parameters), 0};
  if (bytes_max == 1) return 1;
  size_t at = 1;
  while (at < limit) {
    at = skip(data.data(), at, limit, parameters, extremum);
    // At most one block by hand, then the kernel may have new room (the place of the extremum can have moved).
    const size_t stop = std::min(limit, at + kBlock);
    for (; at < stop; at++) {
      const uint32_t value = ValueAt(data.data() + at, parameters);
      if (value > extremum.greatest) {
        extremum = {value, at};
      } else if (at == extremum.place + parameters.window) {
        return at + 1;
      }
    }
  }
  if (limit == bytes_max) return bytes_max;
  return is_end ? std::min(available, bytes_max) : 0;
}

}  // namespace coffer
