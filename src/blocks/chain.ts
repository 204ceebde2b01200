// A chain: one stream of pieces in append-only files of the block format, group 0. Each piece is stored as a chunk whose
// fingerprint is SHA-256(the fingerprint before it ‖ its bytes), so that a reader takes exactly a beginning of what was
// written: where a piece is missing, damaged or out of place the chain ends.
//
// Files are <name>-<part as 4 hex digits>.cpy. A part that was left by an earlier life is not appended to: the chain
// goes on in the next one.

import { createHash } from 'node:crypto'
import { readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import {
  ALGORITHM,
  appendRegions,
  closeBlockFile,
  createBlockFile,
  openBlockFile,
  readRegion,
  syncBlockFile,
  syncDirectory,
  type BlockFileHandle,
} from '../native/data-path.ts'
import {
  BLOCK_CHUNKS_MAX,
  BLOCK_FILE_BYTES_MAX,
  BLOCK_PAGE_BYTES,
  FINGERPRINT_BYTES,
  type NewChunk,
} from './block-store.ts'
import { chunkLists, packBatches, TABLE_ENTRY_BYTES, type Batch } from './packing.ts'
import { REGION_SLOT_BYTES } from './region-cache.ts'
import { scanBlockFile } from './scan.ts'

const CHAIN_GROUP = 0
const PARTS_MAX = 0xffff
const LENGTH_AT = FINGERPRINT_BYTES

export interface ChainPlace {
  readonly directory: string
  /** of the files, without the part's number */
  readonly name: string
  /** in the headers of its files and regions, in the place of a block's id: 1 to 2^32-1 */
  readonly id: number
}

/** Where a chain ends, so that it can go on. */
export interface ChainEnd {
  readonly link: Buffer
  readonly nextPart: number
  readonly fileBytes: number
}

interface Part {
  readonly handle: BlockFileHandle
  reservedBytes: number
  chunkCount: number
}

export class ChainWriter {
  readonly #place: ChainPlace
  #link: Buffer
  #nextPart: number
  #part: Part | undefined
  #fileBytes: number

  /** @param end undefined for a new chain */
  constructor(place: ChainPlace, end?: ChainEnd) {
    this.#place = place
    this.#link = end?.link ?? firstLink(place)
    this.#nextPart = end?.nextPart ?? 0
    this.#fileBytes = end?.fileBytes ?? 0
  }

  /** what its files take */
  get fileBytes(): number {
    return this.#fileBytes
  }

  /**
   * The pieces are durable when it resolves. After a failure the chain takes no more: nobody knows what is on disk.
   * One call at a time; the pieces' memory is frozen meanwhile.
   * @param pieces each of 1 to CHUNK_BYTES_MAX bytes
   */
  async append(pieces: readonly Uint8Array[], sequence: number): Promise<void> {
    const chunks = pieces.map(data => ({ data, fingerprint: this.#next(data) }))
    const touched = new Set<Part>()
    for (const batch of packBatches(chunks)) {
      const total = batch.counts.reduce((sum, count) => sum + count, 0)
      const part = await this.#partFor(batch, total)
      touched.add(part)
      await this.#write(part, batch, chunks.slice(batch.first, batch.first + total), sequence)
    }
    for (const { handle } of touched) await syncBlockFile(handle)
  }

  close(): void {
    if (this.#part !== undefined) closeBlockFile(this.#part.handle)
    this.#part = undefined
  }

  #next(data: Uint8Array): Buffer {
    this.#link = linkAfter(this.#link, data)
    return this.#link
  }

  async #partFor(batch: Batch, chunkCount: number): Promise<Part> {
    const current = this.#part
    if (
      current !== undefined &&
      current.reservedBytes + batch.worstBytes <= BLOCK_FILE_BYTES_MAX &&
      current.chunkCount + chunkCount <= BLOCK_CHUNKS_MAX
    ) {
      return current
    }
    if (current !== undefined) {
      await syncBlockFile(current.handle)
      this.close()
    }
    if (this.#nextPart > PARTS_MAX) throw new Error('a chain has no more parts')
    const path = partPath(this.#place, this.#nextPart++)
    const identity = { group: CHAIN_GROUP, block: this.#place.id, keyId: 0 }
    const handle = await createBlockFile(path, identity, Math.floor(Date.now() / 1000))
    await syncDirectory(this.#place.directory)
    this.#fileBytes += BLOCK_PAGE_BYTES
    this.#part = { handle, reservedBytes: BLOCK_PAGE_BYTES, chunkCount: 0 }
    return this.#part
  }

  async #write(
    part: Part,
    batch: Batch,
    chunks: readonly NewChunk[],
    sequence: number,
  ): Promise<void> {
    const { writtenBytes } = await appendRegions(part.handle, {
      sequence,
      algorithm: ALGORITHM.fast,
      verify: true,
      ...chunkLists(chunks),
      counts: Uint32Array.from(batch.counts),
    })
    part.reservedBytes += writtenBytes
    part.chunkCount += chunks.length
    this.#fileBytes += writtenBytes
  }
}

/**
 * The pieces of a chain up to its end, or to the first that isn't the one that was written. A piece is valid until the
 * next is asked for.
 */
export async function* readChain(place: ChainPlace): AsyncGenerator<Uint8Array, void, undefined> {
  let link = firstLink(place)
  for (let part = 0; part <= PARTS_MAX; part++) {
    for await (const { fingerprint, data } of readPart(place, part)) {
      link = linkAfter(link, data)
      if (Buffer.compare(link, fingerprint) !== 0) return
      yield data
    }
    if (!(await hasPart(place, part + 1))) return
  }
}

/** The last piece that can be read, without looking at what is before it; undefined when there is none. */
export async function lastPiece(
  place: ChainPlace,
): Promise<{ data: Buffer; end: ChainEnd } | undefined> {
  const names = await readdir(place.directory)
  const parts = names.flatMap(name => partOfName(place, name) ?? []).sort((a, b) => b - a)
  let found: { data: Buffer; link: Buffer } | undefined
  let fileBytes = 0
  for (const part of parts) {
    let last: number | undefined
    for await (const { page, fileBytes: bytes } of scanBlockFile(partPath(place, part))) {
      last = page
      fileBytes += bytes
    }
    if (found !== undefined || last === undefined) continue
    for await (const { fingerprint, data } of readPart(place, part, last)) {
      found = { data: Buffer.from(data), link: Buffer.from(fingerprint) }
    }
    if (found === undefined) return undefined
  }
  if (found === undefined) return undefined
  const end = { link: found.link, nextPart: (parts[0] ?? 0) + 1, fileBytes }
  return { data: found.data, end }
}

/** The files of all chains in a directory: their names with what they take. */
export async function listChainFiles(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names.filter(name => CHAIN_FILE.test(name))
}

export async function deleteChain(place: ChainPlace): Promise<void> {
  const names = await listChainFiles(place.directory)
  // The first part last: without it the rest is no chain.
  const own = names.filter(name => partOfName(place, name) !== undefined).sort()
  for (const name of own.reverse()) await unlink(join(place.directory, name))
}

const CHAIN_FILE = /^.+-[0-9a-f]{4}\.cpy$/

async function* readPart(
  place: ChainPlace,
  part: number,
  fromPage = 1,
): AsyncGenerator<{ fingerprint: Uint8Array; data: Uint8Array }, void, undefined> {
  const path = partPath(place, part)
  const slot = new Uint8Array(REGION_SLOT_BYTES)
  let handle: BlockFileHandle | undefined
  try {
    handle = await openBlockFile(path, { group: CHAIN_GROUP, block: place.id, keyId: 0 })
    for await (const { page, fileBytes } of scanBlockFile(path, fromPage * BLOCK_PAGE_BYTES)) {
      const { chunkCount } = await readRegion(handle, page, fileBytes, slot)
      yield* piecesOf(slot, chunkCount)
    }
  } catch (error) {
    // Damage ends the chain, whatever kind it is; a mistake of ours doesn't look like it.
    if (!(error instanceof Error && 'code' in error)) throw error
  } finally {
    if (handle !== undefined) closeBlockFile(handle)
  }
}

function* piecesOf(
  slot: Uint8Array,
  chunkCount: number,
): Iterable<{ fingerprint: Uint8Array; data: Uint8Array }> {
  const table = new DataView(slot.buffer, slot.byteOffset, chunkCount * TABLE_ENTRY_BYTES)
  let start = chunkCount * TABLE_ENTRY_BYTES
  for (let index = 0; index < chunkCount; index++) {
    const at = index * TABLE_ENTRY_BYTES
    const length = table.getUint32(at + LENGTH_AT, true)
    const fingerprint = slot.subarray(at, at + FINGERPRINT_BYTES)
    yield { fingerprint, data: slot.subarray(start, start + length) }
    start += length
  }
}

async function hasPart(place: ChainPlace, part: number): Promise<boolean> {
  const names = await listChainFiles(place.directory)
  return names.some(name => partOfName(place, name) === part)
}

/** Of the name too, so that the chains of one id don't pass for each other. */
function firstLink({ name, id }: ChainPlace): Buffer {
  return createHash('sha256').update(`coffer chain ${id} ${name}`).digest()
}

function linkAfter(link: Uint8Array, data: Uint8Array): Buffer {
  return createHash('sha256').update(link).update(data).digest()
}

function partPath({ directory, name }: ChainPlace, part: number): string {
  return join(directory, `${name}-${part.toString(16).padStart(4, '0')}.cpy`)
}

function partOfName({ name }: ChainPlace, file: string): number | undefined {
  if (!CHAIN_FILE.test(file) || !file.startsWith(`${name}-`)) return undefined
  const digits = file.slice(name.length + 1, -'.cpy'.length)
  return digits.length === 4 ? Number.parseInt(digits, 16) : undefined
}
