// A made-up index has as many entries as it says, in the store's own records.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { growIndex } from '../../bench/workloads/big-index.ts'
import { parseLocation } from '../../src/dedupe/index.ts'
import { OfflineMetadata, prefixEnd, TABLE } from '../../src/metadata/index.ts'

const ENTRIES = 12_345

t.test('every entry of a made-up index is there once', async t => {
  const store = mkdtempSync(join(tmpdir(), 'coffer-big-index-'))
  t.teardown(() => rmSync(store, { recursive: true, force: true }))
  await (await OfflineMetadata.create(join(store, 'metadata'))).close()
  await growIndex(store, ENTRIES, new AbortController().signal)
  const metadata = await OfflineMetadata.open(join(store, 'metadata'))
  const prefix = Buffer.of(TABLE.chunk)
  let count = 0
  const blocks = new Set<number>()
  for await (const { value } of metadata.range(prefix, prefixEnd(prefix))) {
    count += 1
    blocks.add(parseLocation(value).block)
  }
  await metadata.close()
  t.equal(count, ENTRIES)
  t.strictSame([...blocks], [1])
})
