// Liveness against a plain set.

import fc from 'fast-check'
import t from 'tap'
import { Liveness } from '../../src/cleaner/index.ts'

const ORDINAL_MAX = 65_534
const marks = fc.array(
  fc.record({
    block: fc.integer({ min: 1, max: 3 }),
    ordinal: fc.integer({ min: 0, max: ORDINAL_MAX }),
  }),
  { maxLength: 300 },
)

t.test('what was marked is live, nothing else, and each chunk counts once', async t => {
  fc.assert(
    fc.property(marks, marks, (marked, others) => {
      const liveness = new Liveness()
      const live = new Map<string, number>()
      for (const { block, ordinal } of marked) {
        liveness.mark({ block, page: 1, ordinal }, ordinal + 1)
        live.set(`${block}:${ordinal}`, block)
      }
      for (const { block, ordinal } of [...marked, ...others]) {
        const isLive = live.has(`${block}:${ordinal}`)
        if (liveness.isLive({ block, page: 1, ordinal }) !== isLive) return false
      }
      return [1, 2, 3].every(block => {
        const own = [...live].filter(([, of]) => of === block)
        const bytes = own.reduce((sum, [name]) => sum + Number(name.split(':')[1]) + 1, 0)
        return liveness.liveChunks(block) === own.length && liveness.liveBytes(block) === bytes
      })
    }),
  )
  t.pass()
})

t.test('a TiB of chunks of 32 KiB takes less than 10 MiB', async t => {
  const liveness = new Liveness()
  // A sixteenth of it: 1,024 block files with 2,048 chunks each.
  for (let block = 1; block <= 1024; block++) {
    for (let ordinal = 0; ordinal < 2048; ordinal++) {
      liveness.mark({ block, page: 1, ordinal }, 32_768)
    }
  }
  t.ok(liveness.memoryBytes * 16 < 10 * 2 ** 20, `${liveness.memoryBytes * 16} bytes per TiB`)
})
