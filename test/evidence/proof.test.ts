// A proof takes two statements that agree, from two sources.

import t from 'tap'
import { DeletionProof, type Statement } from '../../src/deletion-proof.ts'

const listed: Statement = { source: 'extent listing', isDead: true, detail: '0 chunks are live' }
const counted: Statement = { source: 'reference counters', isDead: true, detail: '0 extents' }

t.test('DeletionProof holds its subject when both sources say that it is dead', t => {
  const { subject, statements } = DeletionProof.prove('Block file 7', 7, listed, counted)
  t.equal(subject, 7)
  t.same(statements, [listed, counted])
  t.end()
})

t.test('DeletionProof refuses a subject that either source needs', t => {
  for (const [first, second] of [
    [{ ...listed, isDead: false }, counted],
    [listed, { ...counted, isDead: false }],
  ] as const) {
    t.throws(() => DeletionProof.prove('Block file 7', 7, first, second), {
      code: 'EVIDENCE_DISAGREES',
      message: /^Nothing was deleted: Block file 7 is in use/,
    })
  }
  t.end()
})

t.test('DeletionProof refuses two statements of one source', t => {
  t.throws(() => DeletionProof.prove('Block file 7', 7, listed, listed), RangeError)
  t.end()
})
