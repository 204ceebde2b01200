// Opens the block files with what the last commit says of them, and finds out whether its records can be trusted: a store
// whose block records are not those of the last commit is refused.

import type { AlertBoard } from '../alerts/index.ts'
import { openBlockStore, type BlockStore, type LookupKey } from '../blocks/index.ts'
import { StoreError } from '../errors.ts'
import type { MetadataStore } from '../metadata/index.ts'
import { plural } from '../plural.ts'
import { committedBlockTotal, type BlockCensus } from './block-census.ts'
import type { BlockIds } from './block-ids.ts'
import { loadBlockRecords } from './block-records.ts'
import type { StoreDirectory } from './store-directory.ts'

export interface OpenBlocksOptions {
  readonly directory: StoreDirectory
  readonly metadata: MetadataStore
  readonly ids: BlockIds
  readonly alerts: AlertBoard
  readonly lookupKey: LookupKey
  readonly cacheBytes: number
  readonly nowSeconds: () => number
}

export interface OpenBlocks {
  readonly blocks: BlockStore
  readonly census: BlockCensus
}

/** @throws StoreError METADATA_DAMAGED, METADATA_BEHIND, RECORD_DAMAGED, UNKNOWN_VERSION */
export async function openBlocks(options: OpenBlocksOptions): Promise<OpenBlocks> {
  const { directory, metadata, ids, alerts } = options
  const { records, census } = await loadBlockRecords(metadata)
  checkCensus(options, census)
  const blocks = await openBlockStore({
    directory: directory.blocks,
    records,
    lookupKey: options.lookupKey,
    cacheBytes: options.cacheBytes,
    verify: true,
    nowSeconds: options.nowSeconds,
    committedSequence: metadata.sequence,
    nextBlock: ids.next,
    nextBlockId: atLeast => ids.take(atLeast),
  })
  const { strays } = blocks.reconciled
  if (strays.length === 0) alerts.clear('STRAY_BLOCK_FILE')
  else {
    const text = `${plural(strays.length, 'block file')} without a record ${strays.length === 1 ? 'was' : 'were'} left alone. The first is ${strays[0]}.`
    alerts.raise('STRAY_BLOCK_FILE', text)
  }
  return { blocks, census }
}

/** @throws StoreError METADATA_DAMAGED */
function checkCensus({ directory, metadata }: OpenBlocksOptions, census: BlockCensus): void {
  // An upgrade that was cut off may have left a total; an older version may have run since.
  if (directory.isNew || metadata.sequence === 0 || directory.isOld) return census.touch()
  const committed = committedBlockTotal(metadata)
  if (committed === undefined) throw damaged('the total of block records is missing')
  const disagreement = census.disagreement(committed)
  if (disagreement !== undefined) throw damaged(disagreement)
}

function damaged(what: string): StoreError {
  return new StoreError('METADATA_DAMAGED', `The metadata has lost records: ${what}.`)
}
