// Reads the newest copy of the metadata that is whole: its snapshot, and what its journal changed, up to the last mark
// that can be reached. Whatever is damaged or missing leads to an older state, never to another one.

import { readChain } from '../blocks/index.ts'
import { StoreError } from '../errors.ts'
import { parsePiece, RecordParser, type CopyRecord } from './copy-format.ts'
import { chainPlace, listGenerations } from './copy-generation.ts'

/** Records of a snapshot that are written together. */
const BATCH_RECORDS = 4096

export interface CopyFound {
  readonly generation: number
  /** of the commit whose state this is */
  readonly sequence: number
  /** when it was written down */
  readonly seconds: number
}

/** Where the records go: all of one call, or none. */
export interface RecordSink {
  write(records: readonly CopyRecord[]): Promise<void>
}

/**
 * @param sink makes an empty one, also when an earlier one has got records of a snapshot that isn't whole
 * @returns undefined when no copy is whole
 * @throws StoreError UNKNOWN_VERSION: a newer coffer may read it
 */
export async function readNewestCopy(
  directory: string,
  sink: () => Promise<RecordSink>,
): Promise<CopyFound | undefined> {
  for (const generation of await listGenerations(directory)) {
    const found = await readGeneration(directory, generation, await sink())
    if (found !== undefined) return found
  }
  return undefined
}

interface State {
  readonly sequence: number
  readonly seconds: number
}

/** Reads one generation whole. @returns undefined when it isn't whole: what went into the sink is worth nothing then */
export async function readGeneration(
  directory: string,
  generation: number,
  sink: RecordSink,
): Promise<CopyFound | undefined> {
  const snapshot = await readSnapshot(directory, generation, sink)
  if (snapshot === undefined) return undefined
  const journal = await readJournal(directory, generation, snapshot.sequence, sink)
  return { generation, ...(journal ?? snapshot) }
}

/** @returns undefined when it isn't whole: what went into the sink is worth nothing then */
async function readSnapshot(
  directory: string,
  generation: number,
  sink: RecordSink,
): Promise<State | undefined> {
  const parser = new RecordParser()
  let begun: State | undefined
  let records: CopyRecord[] = []
  let recordCount = 0
  for await (const bytes of readChain(chainPlace(directory, generation, 'snapshot'))) {
    const piece = parsePiece(bytes)
    if (piece.kind === 'begin') begun = { sequence: piece.sequence, seconds: piece.seconds }
    else if (piece.kind === 'data') {
      const taken = take(parser, piece.records)
      if (taken === undefined) return undefined
      recordCount += taken.length
      records.push(...taken)
      if (records.length < BATCH_RECORDS) continue
      await sink.write(records)
      records = []
    } else {
      const isWhole = piece.recordCount === recordCount && !parser.isInside
      if (!isWhole || begun?.sequence !== piece.sequence) return undefined
      await sink.write(records)
      return begun
    }
  }
  return undefined
}

/** @returns undefined when it has no mark */
async function readJournal(
  directory: string,
  generation: number,
  baseSequence: number,
  sink: RecordSink,
): Promise<State | undefined> {
  const parser = new RecordParser()
  let state: State | undefined
  let hasBegun = false
  let records: CopyRecord[] = []
  for await (const bytes of readChain(chainPlace(directory, generation, 'journal'))) {
    const piece = parsePiece(bytes)
    if (piece.kind === 'begin') {
      if (hasBegun || piece.sequence !== baseSequence) return state
      hasBegun = true
    } else if (!hasBegun) return state
    else if (piece.kind === 'data') {
      const taken = take(parser, piece.records)
      if (taken === undefined) return state
      records.push(...taken)
    } else {
      const isWhole = piece.recordCount === records.length && !parser.isInside
      if (!isWhole || piece.sequence < (state?.sequence ?? baseSequence)) return state
      await sink.write(records)
      records = []
      state = { sequence: piece.sequence, seconds: piece.seconds }
    }
  }
  return state
}

function take(parser: RecordParser, bytes: Uint8Array): CopyRecord[] | undefined {
  try {
    return parser.take(bytes)
  } catch (error) {
    if (error instanceof StoreError && error.code === 'COPY_DAMAGED') return undefined
    throw error
  }
}
