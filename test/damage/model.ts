// The content of the prepared store's files, byte for byte.

import { createHash } from 'node:crypto'
import { contentOf } from '../helpers/open-store.ts'

const SPAN_BYTES = 256 * 1024
/** Of a file of holes that is larger than this, only the surroundings of its data and samples of its holes are read. */
const WHOLLY_READ_BYTES_MAX = 64 * 1024 * 1024
const SAMPLES_OF_HOLES = 4

/** Bytes that were written; later pieces cover earlier ones. */
export interface Piece {
  readonly atBytes: number
  readonly lengthBytes: number
  readonly seed: number
  /** text can be compressed */
  readonly isText: boolean
}

export interface Span {
  readonly atBytes: number
  readonly lengthBytes: number
  readonly sha256: string
}

export interface ModelFile {
  readonly sizeBytes: number
  readonly xattrs: Readonly<Record<string, string>>
  /** what is read and compared, in order */
  readonly spans: readonly Span[]
}

export interface Model {
  /** path → names */
  readonly directories: Readonly<Record<string, readonly string[]>>
  /** path → file; hard links have a path each */
  readonly files: Readonly<Record<string, ModelFile>>
}

/** A file while the store is made. */
export interface DraftFile {
  sizeBytes: number
  pieces: Piece[]
  readonly xattrs: Record<string, string>
}

export function bytesOf({ lengthBytes, seed, isText }: Omit<Piece, 'atBytes'>): Buffer {
  if (!isText) return contentOf(seed, lengthBytes)
  const half = contentOf(seed, Math.ceil(lengthBytes / 2))
  return Buffer.from(half.toString('hex').slice(0, lengthBytes), 'latin1')
}

function render(pieces: readonly Piece[], atBytes: number, lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(lengthBytes)
  for (const piece of pieces) {
    const from = Math.max(atBytes, piece.atBytes)
    const to = Math.min(atBytes + lengthBytes, piece.atBytes + piece.lengthBytes)
    if (from >= to) continue
    bytes.set(bytesOf(piece).subarray(from - piece.atBytes, to - piece.atBytes), from - atBytes)
  }
  return bytes
}

function spansOf({ sizeBytes, pieces }: DraftFile): Span[] {
  const starts = new Set<number>()
  if (sizeBytes <= WHOLLY_READ_BYTES_MAX) {
    for (let at = 0; at < sizeBytes; at += SPAN_BYTES) starts.add(at)
  } else {
    const spans = Math.ceil(sizeBytes / SPAN_BYTES)
    for (let index = 0; index < SAMPLES_OF_HOLES; index++) {
      starts.add(Math.floor((index * spans) / SAMPLES_OF_HOLES) * SPAN_BYTES)
    }
    for (const piece of pieces) {
      const first = Math.floor(piece.atBytes / SPAN_BYTES) - 1
      const last = Math.floor((piece.atBytes + piece.lengthBytes - 1) / SPAN_BYTES) + 1
      for (let span = Math.max(0, first); span <= Math.min(last, spans - 1); span++) {
        starts.add(span * SPAN_BYTES)
      }
    }
  }
  return [...starts]
    .sort((a, b) => a - b)
    .map(atBytes => {
      const lengthBytes = Math.min(SPAN_BYTES, sizeBytes - atBytes)
      return { atBytes, lengthBytes, sha256: hashOf(render(pieces, atBytes, lengthBytes)) }
    })
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export function modelOf(
  directories: ReadonlySet<string>,
  drafts: ReadonlyMap<string, DraftFile>,
): Model {
  const names: Record<string, string[]> = {}
  for (const directory of directories) names[directory] = []
  for (const path of [...directories, ...drafts.keys()]) {
    const at = path.lastIndexOf('/')
    if (at >= 0) names[path.slice(0, at)]?.push(path.slice(at + 1))
  }
  const hashed = new Map<DraftFile, ModelFile>()
  const files: Record<string, ModelFile> = {}
  for (const [path, draft] of drafts) {
    const file = hashed.get(draft) ?? {
      sizeBytes: draft.sizeBytes,
      xattrs: draft.xattrs,
      spans: spansOf(draft),
    }
    hashed.set(draft, file)
    files[path] = file
  }
  return { directories: names, files }
}
