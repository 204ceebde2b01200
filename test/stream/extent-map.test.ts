// Extents that are deleted while a commit writes them.

import t from 'tap'
import { ExtentMap } from '../../src/stream/index.ts'
import { MemoryMetadata } from '../helpers/memory-metadata.ts'

const INODE = 7
const GROUP = 1
const EXTENT = {
  startBytes: 0,
  lengthBytes: 100,
  chunkOffsetBytes: 0,
  chunkLengthBytes: 100,
  fingerprint: new Uint8Array(32),
  location: { block: 1, page: 1, ordinal: 0 },
}
const PAGES_MAX = 10

/** Metadata whose commit takes a while: it is written when the test says so. */
class SlowMetadata extends MemoryMetadata {
  #written: (() => void) | undefined

  collectOnly(): void {
    const changes: (() => void)[] = []
    for (const participant of this.participants) {
      participant.collect({
        put: (key, value) => {
          const copy = Buffer.from(value)
          changes.push(() => this.records.set(Buffer.from(key).toString('latin1'), copy))
        },
        delete: key => {
          changes.push(() => this.records.delete(Buffer.from(key).toString('latin1')))
        },
      })
    }
    this.#written = () => changes.forEach(change => change())
  }

  settle(): void {
    this.#written?.()
    for (const participant of this.participants) participant.settled()
  }
}

function makeMap(): { metadata: SlowMetadata; extents: ExtentMap } {
  const metadata = new SlowMetadata()
  const extents = new ExtentMap(metadata)
  metadata.participants.push(extents)
  extents.replace(INODE, GROUP, 0, 100, [EXTENT])
  return { metadata, extents }
}

t.test('pages that a commit in flight is writing are deleted by the next one', async t => {
  const { metadata, extents } = makeMap()
  metadata.collectOnly()
  await extents.discardSlice(INODE, PAGES_MAX)
  metadata.settle()
  t.equal(metadata.records.size, 1, 'the commit in flight has written them')
  await metadata.commit()
  t.equal(metadata.records.size, 0)
})

t.test('so are those that a commit writes while LevelDB is asked', async t => {
  const { metadata, extents } = makeMap()
  const discarding = extents.discardSlice(INODE, PAGES_MAX)
  metadata.collectOnly()
  metadata.settle()
  await discarding
  await metadata.commit()
  t.equal(metadata.records.size, 0)
})

t.test('and those that LevelDB has', async t => {
  const { metadata, extents } = makeMap()
  await metadata.commit()
  t.equal(metadata.records.size, 1)
  t.equal(await extents.discardSlice(INODE, 1), true, 'the slice is full')
  t.equal(await extents.discardSlice(INODE, 1), false, 'there is nothing left')
  await metadata.commit()
  t.equal(metadata.records.size, 0)
})
