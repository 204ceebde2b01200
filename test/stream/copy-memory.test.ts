// Copies that are used again: what a copy holds is nobody else's until it is let go.

import t from 'tap'
import { CopyMemory } from '../../src/stream/copy-memory.ts'

const SLOT_BYTES = 128 * 1024

t.test('copies that are held at the same time share nothing', t => {
  const memory = new CopyMemory(SLOT_BYTES)
  const copies = Array.from({ length: 40 }, (_, index) => {
    const bytes = new Uint8Array(index % 2 === 0 ? SLOT_BYTES - index : 100).fill(index)
    return { copy: memory.copy(bytes), bytes }
  })
  for (const { copy, bytes } of copies) t.same(Buffer.compare(copy.bytes, bytes), 0)
  for (const { copy } of copies) copy.release()
  t.end()
})

t.test('a slot is used again, and no longer than it is held', t => {
  const memory = new CopyMemory(SLOT_BYTES)
  const first = memory.copy(new Uint8Array(SLOT_BYTES).fill(1))
  first.release()
  const second = memory.copy(new Uint8Array(SLOT_BYTES / 2).fill(2))
  t.equal(second.bytes.buffer, first.bytes.buffer)
  t.equal(second.bytes.length, SLOT_BYTES / 2)
  const third = memory.copy(new Uint8Array(SLOT_BYTES).fill(3))
  t.not(third.bytes.buffer, second.bytes.buffer)
  t.ok(second.bytes.every(byte => byte === 2))
  second.release()
  t.throws(() => second.release(), { message: 'a copy was released twice' })
  t.throws(() => memory.copy(new Uint8Array(SLOT_BYTES + 1)), RangeError)
  third.release()
  t.end()
})
