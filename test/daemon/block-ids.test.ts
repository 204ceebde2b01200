// Ids of block files are never given twice, also when every block file is gone.

import t from 'tap'
import { BlockIds } from '../../src/daemon/block-ids.ts'
import { MemoryMetadata } from '../helpers/memory-metadata.ts'

t.test('ids go on after a restart, and never fall behind what lies there', async t => {
  const metadata = new MemoryMetadata()
  const ids = new BlockIds(metadata)
  metadata.participants.push(ids)
  t.equal(ids.take(1), 1)
  t.equal(ids.take(1), 2)
  t.equal(ids.take(10), 10)
  await metadata.commit()
  t.equal(new BlockIds(metadata).take(1), 11)
})

t.test('a counter of an unknown version is refused', async t => {
  const metadata = new MemoryMetadata()
  const ids = new BlockIds(metadata)
  metadata.participants.push(ids)
  ids.take(1)
  await metadata.commit()
  for (const record of metadata.records.values()) record[0] = 2
  t.throws(() => new BlockIds(metadata), { code: 'UNKNOWN_VERSION' })
})
