// Copies of records that a repair changes: what is written is read, and nothing else is.

import fc from 'fast-check'
import t from 'tap'
import { backupName, packBackup, parseBackup } from '../../src/repair/index.ts'

const bytes = fc.uint8Array({ maxLength: 40 }).map(each => Buffer.from(each))
const backup = fc.record({
  repair: fc.nat(),
  seconds: fc.nat(),
  records: fc.array(fc.record({ key: bytes, frame: fc.option(bytes) }), { maxLength: 5 }),
})

t.test('what is packed is read', async t => {
  fc.assert(fc.property(backup, given => t.same(parseBackup(packBackup(given)), given)))
})

t.test('one wrong byte, or one too few, is damage', async t => {
  const property = fc.property(backup, fc.nat(), (given, place) => {
    const packed = packBackup(given)
    const at = place % packed.length
    const flipped = Buffer.from(packed)
    flipped[at] = (flipped[at] ?? 0) ^ 1
    const code = at === 8 || at === 9 ? 'UNKNOWN_VERSION' : 'BACKUP_DAMAGED'
    t.throws(() => parseBackup(flipped), { code })
    t.throws(() => parseBackup(packed.subarray(0, at)), { code: 'BACKUP_DAMAGED' })
  })
  fc.assert(property)
})

t.test('names sort by time', async t => {
  t.equal(backupName(7, 2, 1_795_550_102), '20261124T195502Z-7-2.backup')
})
