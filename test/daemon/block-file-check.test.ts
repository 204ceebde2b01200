// After a start: files that are missing or too short are told, and those that a power cut may leave that way are not.

import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { BlockRecord } from '../../src/blocks/index.ts'
import { BlockFileCheck } from '../../src/daemon/block-file-check.ts'

const LENGTH_BYTES = 20_480

function recordOf(block: number, changes: Partial<BlockRecord> = {}): BlockRecord {
  return {
    block,
    group: 1,
    keyId: 0,
    compression: 'none',
    isClosed: true,
    lengthBytes: LENGTH_BYTES,
    regionCount: 3,
    chunkCount: 9,
    rawBytes: 50_000,
    compressedBytes: 15_000,
    quarantine: null,
    freedSeconds: null,
    ...changes,
  } as BlockRecord
}

t.test('which block files are told', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-check-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const records = [
    recordOf(1),
    recordOf(2),
    recordOf(3),
    recordOf(4, { regionCount: 0, lengthBytes: 4096 }),
    recordOf(5),
    recordOf(6),
  ]
  const pathOf = (block: number): string => join(directory, `${block}.blk`)
  for (const block of [1, 3]) await writeFile(pathOf(block), Buffer.alloc(LENGTH_BYTES))
  await truncate(pathOf(3), LENGTH_BYTES - 1)
  const told: string[] = []
  const quarantined = new Map([[5, 'known']])
  const check = new BlockFileCheck({
    blocks: {
      records: () => records,
      // Freed while the others were looked at.
      hasBlock: block => block !== 6,
      pathOf,
      quarantine: block => void quarantined.set(block, ''),
      quarantined,
    },
    alerts: { raise: (_code, text) => void told.push(text) },
  })
  check.start()
  await check.settled()
  t.match(told, [
    /Block file 2 .*: the file is missing/,
    /Block file 3 .*: the file has 20479 bytes, and should have at least 20480/,
  ])
  t.equal(told.length, 2, 'neither one without regions nor one that is gone or known')
  t.strictSame([...quarantined.keys()], [5, 2, 3])
})
