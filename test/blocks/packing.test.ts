// Packing keeps the order and the limits, and leaves no tiny rests.

import fc from 'fast-check'
import t from 'tap'
import {
  BLOCK_FILE_BYTES_MAX,
  REGION_CHUNKS_MAX,
  REGION_RAW_BYTES_MAX,
} from '../../src/blocks/index.ts'
import { packBatches } from '../../src/blocks/packing.ts'

const memory = new Uint8Array(256 * 1024)
const fingerprint = new Uint8Array(32)

t.test('limits hold for any chunks', async () => {
  const lengths = fc.array(
    fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 262_144 })),
    {
      maxLength: 3000,
    },
  )
  fc.assert(
    fc.property(lengths, sizes => {
      const chunks = sizes.map(size => ({ fingerprint, data: memory.subarray(0, size) }))
      let at = 0
      for (const batch of packBatches(chunks)) {
        if (batch.first !== at || batch.counts.length > 8) return false
        if (batch.worstBytes > BLOCK_FILE_BYTES_MAX / 2) return false
        for (const count of batch.counts) {
          const raw = sizes.slice(at, at + count).reduce((sum, size) => sum + size, 0)
          if (count < 1 || count > REGION_CHUNKS_MAX || raw > REGION_RAW_BYTES_MAX) return false
          at += count
        }
      }
      return at === sizes.length
    }),
    { numRuns: 200 },
  )
})

t.test('regions are balanced', async t => {
  const chunks = Array.from({ length: 20 }, () => ({
    fingerprint,
    data: memory.subarray(0, 32_768),
  }))
  t.same(
    packBatches(chunks).map(batch => batch.counts),
    [[10, 10]],
  )
  t.same(packBatches([]), [])
})
