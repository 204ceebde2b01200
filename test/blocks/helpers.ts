// What the block layer's tests share: temporary stores, chunks of known content, reading back.

import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  openBlockStore,
  type BlockStoreOptions,
  type ChunkLocation,
  type Compression,
  type LocalBlockStore,
  type NewChunk,
  type SealingPolicy,
} from '../../src/blocks/index.ts'
import { DeletionProof } from '../../src/deletion-proof.ts'
import { secretOf } from '../helpers/secrets.ts'

export const KEY = secretOf(7)

export const CLEAR: SealingPolicy = { group: 1, compression: 'none', keyId: 0 }
export const KEYED: SealingPolicy = { group: 1, compression: 'none', keyId: 3, key: KEY }
export const COMPRESSIONS: readonly Compression[] = ['none', 'fast', 'best']

interface Teardown {
  teardown(handler: () => Promise<void>): void
}

export async function temporaryDirectory(t: Teardown): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-blocks-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

export function openStore(
  directory: string,
  options: Partial<BlockStoreOptions> = {},
): Promise<LocalBlockStore> {
  return openBlockStore({
    directory,
    records: [],
    committedSequence: 0,
    nextBlock: 1,
    nowSeconds: () => 1_000_000,
    lookupKey: (_group, keyId) => (keyId === 3 ? KEY : undefined),
    cacheBytes: 8 << 20,
    ...options,
  })
}

export function chunkOf(data: Uint8Array): NewChunk {
  return { fingerprint: createHash('sha256').update(data).digest(), data }
}

export function randomChunk(length: number): NewChunk {
  return chunkOf(randomBytes(length))
}

/** Text-like: shrinks under every compression. */
export function textChunk(length: number, seed = 1): NewChunk {
  const data = Buffer.alloc(length)
  let state = seed
  for (let index = 0; index < length; index++) {
    if (index % 3 === 0) state = (Math.imul(state, 1103515245) + 12345) >>> 0
    data[index] = 97 + ((state >>> 16) % 6)
  }
  return chunkOf(data)
}

export async function readChunk(
  store: LocalBlockStore,
  location: ChunkLocation,
): Promise<NewChunk> {
  const region = await store.readRegion(location.block, location.page)
  const slot = location.ordinal - region.firstOrdinal
  const data = Buffer.from(region.chunkAt(slot))
  const fingerprint = Buffer.from(region.fingerprintAt(slot))
  region.release()
  return { data, fingerprint }
}

/** Whether every chunk reads back as it was. */
export async function readsBack(
  store: LocalBlockStore,
  chunks: readonly NewChunk[],
  locations: readonly ChunkLocation[],
): Promise<boolean> {
  for (const [index, location] of locations.entries()) {
    const read = await readChunk(store, location)
    const written = chunks[index]
    if (!written || Buffer.compare(read.data, written.data) !== 0) return false
    if (Buffer.compare(read.fingerprint, written.fingerprint) !== 0) return false
  }
  return locations.length === chunks.length
}

/** What two sources say of a block file that nothing refers to. */
export function provedDead(block: number): DeletionProof<number> {
  const statement = { isDead: true, detail: 'nothing refers to it' }
  return DeletionProof.prove(
    `Block file ${block}`,
    block,
    { source: 'extent listing', ...statement },
    { source: 'reference counters', ...statement },
  )
}
