// One generation of the metadata's copy on disk: a snapshot and the journal of what came after it.

import {
  ChainWriter,
  deleteChain,
  lastPiece,
  listChainFiles,
  type ChainPlace,
} from '../blocks/index.ts'
import type { DeletionProof } from '../deletion-proof.ts'
import type { MetadataView } from '../metadata/index.ts'
import { isCopied, nameOf, packBegin, packMark, parsePiece, RecordPacker } from './copy-format.ts'

/** Pieces that are written and synced together, some 4 MiB. */
const SLICE_PIECES = 32
/** Before the first table, and behind the last one. */
const ALL_KEYS = [Buffer.of(0), Buffer.of(0xff)] as const
const NAME = /^([0-9a-f]{8})-(snapshot|journal)-/

export function chainPlace(
  directory: string,
  generation: number,
  what: 'snapshot' | 'journal',
): ChainPlace {
  const name = `${generation.toString(16).padStart(8, '0')}-${what}`
  return { directory, name, id: generation }
}

/** The generations of which there is something, the newest first. */
export async function listGenerations(directory: string): Promise<number[]> {
  const found = new Set<number>()
  for (const name of await listChainFiles(directory)) {
    const digits = NAME.exec(name)?.[1]
    if (digits !== undefined) found.add(Number.parseInt(digits, 16))
  }
  return [...found].sort((a, b) => b - a)
}

/** Deletes a generation that a newer one has taken the place of. */
export async function deleteGeneration(
  directory: string,
  { subject }: DeletionProof<number>,
): Promise<void> {
  await discardGeneration(directory, subject)
}

/** Takes away what was written of a generation that never became whole. */
export async function discardGeneration(directory: string, generation: number): Promise<void> {
  await deleteChain(chainPlace(directory, generation, 'snapshot'))
  await deleteChain(chainPlace(directory, generation, 'journal'))
}

export class CopyGeneration {
  readonly number: number
  readonly #snapshot: ChainWriter
  readonly #journal: ChainWriter
  /** what the journal begins with, until it has begun */
  #begin: Buffer | undefined
  #baseSequence = 0
  #baseSeconds = 0
  /** of the commit up to which the journal is durable; -1 while it has no mark */
  sequence = -1

  private constructor(number: number, snapshot: ChainWriter, journal: ChainWriter) {
    this.number = number
    this.#snapshot = snapshot
    this.#journal = journal
  }

  static create(directory: string, number: number): CopyGeneration {
    return new CopyGeneration(
      number,
      new ChainWriter(chainPlace(directory, number, 'snapshot')),
      new ChainWriter(chainPlace(directory, number, 'journal')),
    )
  }

  /** Goes on where it ended, if that was with this commit, and whole. */
  static async resume(
    directory: string,
    number: number,
    sequence: number,
  ): Promise<CopyGeneration | undefined> {
    const [snapshotPlace, journalPlace] = (['snapshot', 'journal'] as const).map(what =>
      chainPlace(directory, number, what),
    )
    if (snapshotPlace === undefined || journalPlace === undefined) return undefined
    const [snapshot, journal] = [await lastPiece(snapshotPlace), await lastPiece(journalPlace)]
    if (snapshot === undefined || journal === undefined) return undefined
    const end = parsePiece(snapshot.data)
    const last = parsePiece(journal.data)
    if (end.kind !== 'mark' || last.kind !== 'mark' || last.sequence !== sequence) return undefined
    const generation = new CopyGeneration(
      number,
      new ChainWriter(snapshotPlace, snapshot.end),
      new ChainWriter(journalPlace, journal.end),
    )
    generation.sequence = sequence
    return generation
  }

  get snapshotBytes(): number {
    return this.#snapshot.fileBytes
  }

  get journalBytes(): number {
    return this.#journal.fileBytes
  }

  /** The snapshot will be of this commit, and the journal of what comes after it: it can be appended to from here on. */
  begin(sequence: number, seconds: number): void {
    this.#begin = packBegin(sequence, seconds)
    this.#baseSequence = sequence
    this.#baseSeconds = seconds
  }

  /**
   * Writes all records as of the commit that the generation begins with.
   * @param check called now and then; ends the work by what it throws
   * @param visit told of each record
   */
  async writeSnapshot(
    view: MetadataView,
    check: () => void,
    visit: (key: Uint8Array, value: Uint8Array) => void,
  ): Promise<void> {
    const [sequence, seconds] = [this.#baseSequence, this.#baseSeconds]
    const packer = new RecordPacker()
    let slice: Buffer[] = [packBegin(sequence, seconds)]
    for await (const { key, value } of viewed(view)) {
      visit(key, value)
      slice.push(...packer.add(nameOf(key), value))
      if (slice.length < SLICE_PIECES) continue
      check()
      await this.#snapshot.append(slice, sequence)
      slice = []
    }
    slice.push(...packer.end(), packMark(sequence, seconds, packer.recordCount))
    await this.#snapshot.append(slice, sequence)
  }

  /** What the commits up to this one have changed since the last call. */
  async append(
    changes: ReadonlyMap<string, Uint8Array | null>,
    sequence: number,
    seconds: number,
  ): Promise<void> {
    const packer = new RecordPacker()
    let slice = this.#begin === undefined ? [] : [this.#begin]
    this.#begin = undefined
    for (const [name, value] of changes) {
      slice.push(...packer.add(name, value))
      if (slice.length < SLICE_PIECES) continue
      await this.#journal.append(slice, sequence)
      slice = []
    }
    slice.push(...packer.end(), packMark(sequence, seconds, packer.recordCount))
    await this.#journal.append(slice, sequence)
    this.sequence = sequence
  }

  close(): void {
    this.#snapshot.close()
    this.#journal.close()
  }
}

/** Without what is left out, and without reading the chunk index, which is most of what there is. */
async function* viewed(view: MetadataView): AsyncIterable<{ key: Uint8Array; value: Uint8Array }> {
  const [first, last] = ALL_KEYS
  const ranges = [
    [first, Buffer.of(LEFT_OUT.from)],
    [Buffer.of(LEFT_OUT.to), last],
  ] as const
  for (const [from, to] of ranges) {
    for await (const record of view.range(from, to)) if (isCopied(record.key)) yield record
  }
}

/** Block records and the chunk index are neighbours: B and C. */
const LEFT_OUT = { from: 0x42, to: 0x44 } as const
