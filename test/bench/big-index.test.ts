// A made-up index has as many entries as it says, in the store's own records.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { growIndex } from '../../bench/workloads/big-index.ts'
import { loadFilter } from '../../src/dedupe/filter-file.ts'
import { ChunkFilter, parseLocation } from '../../src/dedupe/index.ts'
import { OfflineMetadata, prefixEnd, TABLE } from '../../src/metadata/index.ts'

const ENTRIES = 12_345

t.test('every entry of a made-up index is there once, and in its filter', async t => {
  const store = mkdtempSync(join(tmpdir(), 'coffer-big-index-'))
  t.teardown(() => rmSync(store, { recursive: true, force: true }))
  await (await OfflineMetadata.create(join(store, 'metadata'))).close()
  await growIndex(store, ENTRIES, new AbortController().signal)
  const metadata = await OfflineMetadata.open(join(store, 'metadata'))
  const prefix = Buffer.of(TABLE.chunk)
  const state = await loadFilter(join(store, 'chunk-filter'), metadata.sequence, 2 ** 20)
  const filter = new ChunkFilter(2 ** 20, state)
  let count = 0
  let denied = 0
  const blocks = new Set<number>()
  for await (const { key, value } of metadata.range(prefix, prefixEnd(prefix))) {
    count += 1
    if (!filter.mayHave(Buffer.from(key).toString('latin1'))) denied += 1
    blocks.add(parseLocation(value).block)
  }
  await metadata.close()
  t.equal(count, ENTRIES)
  t.ok(filter.isComplete)
  t.equal(denied, 0)
  t.strictSame([...blocks], [1])
})
