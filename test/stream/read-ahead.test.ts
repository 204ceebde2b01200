// How far is read ahead: the window grows with what was read in a row, and with what others leave.

import t from 'tap'
import { ReadAhead } from '../../src/stream/read-ahead.ts'
import { ReadShare } from '../../src/stream/read-share.ts'

const MIB = 2 ** 20
const FILE_BYTES = 1024 * MIB

/** Reads of 1 MiB one after the other. @returns the most that was asked for ahead of a read's end */
function farthest(window: ReadAhead, firstMib: number, count: number, shareBytes: number): number {
  let most = 0
  let coveredBytes = firstMib * MIB
  for (let at = firstMib * MIB; at < (firstMib + count) * MIB; at += MIB) {
    const ahead = window.after(at, at + MIB, FILE_BYTES, shareBytes)
    if (ahead === undefined) continue
    t.ok(ahead.startBytes >= coveredBytes, 'nothing is asked for twice')
    coveredBytes = ahead.startBytes + ahead.lengthBytes
    most = Math.max(most, coveredBytes - at - MIB)
  }
  return most
}

t.test('the window', async t => {
  t.equal(farthest(new ReadAhead(), 0, 4, 32 * MIB), 4 * MIB, 'usual')
  const early = farthest(new ReadAhead(), 0, 12, 32 * MIB)
  t.ok(early > 4 * MIB && early <= 12 * MIB, 'no more than was read')
  t.equal(farthest(new ReadAhead(), 0, 100, 32 * MIB), 16 * MIB, 'at most')
  t.equal(farthest(new ReadAhead(), 0, 100, 8 * MIB), 8 * MIB, 'the share')
  t.equal(farthest(new ReadAhead(), 0, 100, MIB), 4 * MIB, 'never less than usual')

  const window = new ReadAhead()
  farthest(window, 0, 50, 32 * MIB)
  t.equal(window.after(500 * MIB, 501 * MIB, FILE_BYTES, 32 * MIB), undefined, 'elsewhere')
  t.equal(farthest(window, 501, 4, 32 * MIB), 4 * MIB, 'begins anew')
  const end = window.after(505 * MIB, 506 * MIB, 507 * MIB, 32 * MIB)
  t.ok(end === undefined || end.startBytes + end.lengthBytes <= 507 * MIB, 'not past the end')
})

t.test('who reads now shares what may be fetched ahead', async t => {
  const share = new ReadShare()
  t.equal(share.of(1), 32 * MIB)
  t.equal(share.of(1), 32 * MIB)
  t.equal(share.of(2), 16 * MIB)
  for (let round = 0; round < 32; round++) share.of(round % 2 === 0 ? 3 : 4)
  t.equal(share.of(1), 8 * MIB)
  for (let round = 0; round < 64; round++) share.of(5)
  t.equal(share.of(5), 32 * MIB, 'who reads no more counts no more')
})
