// Percentages of savings, also of a store that holds more than clients see.

import t from 'tap'
import { savingsOf } from '../../src/daemon/savings.ts'

const totalsOf = (rawBytes: number, compressedBytes: number) => ({
  blocks: 1,
  chunks: 1,
  rawBytes,
  compressedBytes,
  fileBytes: compressedBytes,
})

t.test('savingsOf follows the chain', async t => {
  t.match(savingsOf(4000, totalsOf(1000, 333)), {
    dedupePercent: 75,
    compressionPercent: 66.7,
    totalPercent: 91.68,
  })
})

t.test('savingsOf has no savings below zero', async t => {
  const nothing = { dedupePercent: 0, compressionPercent: 0, totalPercent: 0 }
  t.match(savingsOf(1000, totalsOf(3000, 3000)), nothing, 'dead data waits for the cleaner')
  t.match(savingsOf(0, totalsOf(3000, 3000)), nothing, 'all data was deleted')
  t.match(savingsOf(0, totalsOf(0, 0)), nothing)
  t.match(savingsOf(1000, totalsOf(1000, 1001)), { compressionPercent: 0, totalPercent: 0 })
})
