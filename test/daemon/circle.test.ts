import t from 'tap'
import { emptyCircle, forgetGroup } from '../../src/daemon/circle.ts'
import { RecentChunks } from '../../src/stream/index.ts'

t.test('when a group is locked, what its files ended with leaves memory', async t => {
  const recent = new RecentChunks()
  const fingerprint = new Uint8Array(32).fill(1)
  recent.add(fingerprint, Buffer.from('a secret'))
  await forgetGroup({ ...emptyCircle(), recent }, 2, async () => undefined)
  t.equal(recent.find(fingerprint), undefined)
})
