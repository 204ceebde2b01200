// Records the behaviour of a damaged store: opened twice, cleaned, scanned, and read completely, against what its files held.

import { createHash } from 'node:crypto'
import { CONTAINERS, isRefusal, Store, type ScanResult, type WorkReport } from './adapter.ts'
import type { Model, ModelFile } from './model.ts'

const ZEROS_MIN = 16

export interface Failure {
  readonly path: string
  readonly code: string
}

export interface WrongBytes {
  readonly path: string
  readonly atBytes: number
  readonly what: 'zeros' | 'other bytes' | 'ends early' | 'another size' | 'an attribute'
}

export interface Life {
  /** why the store did not open */
  refused?: string
  unlockError?: string
  readonly passes: WorkReport[]
  scan?: ScanResult
  /** block files with a record when the scan began */
  scannedBlocks: number[]
  warnings: string[]
  equalFiles: number
  readonly errors: Failure[]
  readonly wrong: WrongBytes[]
  /** names that are not there */
  readonly missing: string[]
  /** names that should not be there */
  readonly extra: string[]
  closeError?: string
}

export interface Observation {
  readonly lives: Life[]
  /** mistakes: errors that coffer did not raise on purpose */
  readonly mistakes: string[]
}

function newLife(): Life {
  return {
    passes: [],
    scannedBlocks: [],
    warnings: [],
    equalFiles: 0,
    errors: [],
    wrong: [],
    missing: [],
    extra: [],
  }
}

/** @param told which step begins */
export async function observe(
  directory: string,
  model: Model,
  told: (step: string) => void,
): Promise<Observation> {
  const observation: Observation = { lives: [], mistakes: [] }
  const stray = (error: unknown): void => void observation.mistakes.push(textOf(error))
  process.on('unhandledRejection', stray)
  process.on('uncaughtException', stray)
  for (const isFirst of [true, false]) {
    told(isFirst ? 'first life' : 'second life')
    const life = newLife()
    observation.lives.push(life)
    await live(directory, model, { life, isFirst, told, mistakes: observation.mistakes })
    if (life.refused !== undefined) break
  }
  process.removeListener('unhandledRejection', stray)
  process.removeListener('uncaughtException', stray)
  return observation
}

interface Part {
  readonly life: Life
  readonly isFirst: boolean
  readonly told: (step: string) => void
  readonly mistakes: string[]
}

async function live(directory: string, model: Model, part: Part): Promise<void> {
  const { life, isFirst, told, mistakes } = part
  const attempt = async <Result>(step: string, work: () => Promise<Result>) => {
    told(step)
    try {
      return { result: await work() }
    } catch (error) {
      if (!isRefusal(error)) mistakes.push(`${step}: ${textOf(error)}`)
      return { error: codeOf(error) }
    }
  }
  const opened = await attempt('open', () => Store.open(directory))
  if (opened.result === undefined) {
    life.refused = opened.error ?? ''
    return
  }
  const store = opened.result
  if (isFirst) told('opened')
  const unlocked = await attempt('unlock', () => store.unlock())
  if (unlocked.error !== undefined) life.unlockError = unlocked.error
  if (isFirst) {
    for (const kind of ['idle', 'manual'] as const) {
      const { result, error } = await attempt(`${kind} pass`, () => store.pass(kind))
      life.passes.push(result ?? { outcome: 'refused', text: error ?? '' })
    }
    life.scannedBlocks = store.recordedBlocks()
    const { result, error } = await attempt('scan', () => store.scan())
    life.scan = result ?? { outcome: 'refused', text: error ?? '', findings: [] }
  }
  told('list')
  for (const [path, names] of Object.entries(model.directories)) {
    await listed(store, path, names, part)
  }
  told('read')
  for (const [path, file] of Object.entries(model.files))
    await readAndCompare(store, path, file, part)
  life.warnings = store.warnings()
  const closed = await attempt('close', () => store.close())
  if (closed.error !== undefined) life.closeError = closed.error
}

/** Notes an error of a path: one that coffer raised on purpose, or a mistake. */
function failed({ life, mistakes }: Part, path: string, error: unknown): void {
  if (!isRefusal(error)) mistakes.push(`${path}: ${textOf(error)}`)
  life.errors.push({ path, code: codeOf(error) })
}

async function listed(
  store: Store,
  path: string,
  names: readonly string[],
  part: Part,
): Promise<void> {
  const { missing, extra } = part.life
  let found: ReturnType<Store['find']>
  try {
    found = store.find(path)
    if (found === undefined) {
      missing.push(`${path}/`)
      return
    }
    const entries = new Set((await store.list(found.inode)).map(({ name }) => name))
    for (const name of names) if (!entries.has(name)) missing.push(`${path}/${name}`)
    const expected = new Set(names)
    const isTop = CONTAINERS.some(container => container === path)
    for (const name of entries) {
      if (!expected.has(name) && !(isTop && name === 'lost+found')) extra.push(`${path}/${name}`)
    }
  } catch (error) {
    failed(part, path, error)
  } finally {
    found?.release()
  }
}

async function readAndCompare(
  store: Store,
  path: string,
  file: ModelFile,
  part: Part,
): Promise<void> {
  const { life } = part
  let found: ReturnType<Store['find']>
  try {
    found = store.find(path)
    if (found === undefined) {
      life.missing.push(path)
      return
    }
    const { inode } = found
    const before = life.errors.length + life.wrong.length
    if (store.sizeOf(inode) !== file.sizeBytes) {
      life.wrong.push({ path, atBytes: store.sizeOf(inode), what: 'another size' })
    }
    await compareSpans(store, inode, path, file, part)
    const isComplete = compareXattrs(store.xattrs(inode), path, file, life)
    if (isComplete && life.errors.length + life.wrong.length === before) life.equalFiles++
  } catch (error) {
    failed(part, path, error)
  } finally {
    found?.release()
  }
}

/** @returns whether all are there; another value is a wrong byte, as in a file */
function compareXattrs(
  xattrs: Readonly<Record<string, string>>,
  path: string,
  file: ModelFile,
  { missing, extra, wrong }: Life,
): boolean {
  const lost = Object.keys(file.xattrs).filter(name => xattrs[name] === undefined)
  for (const name of lost) missing.push(`attribute ${name} of ${path}`)
  for (const [name, value] of Object.entries(xattrs)) {
    const expected = file.xattrs[name]
    if (expected === undefined) extra.push(`attribute ${name} of ${path}`)
    else if (expected !== value) wrong.push({ path, atBytes: 0, what: 'an attribute' })
  }
  return lost.length === 0
}

async function compareSpans(
  store: Store,
  inode: number,
  path: string,
  file: ModelFile,
  part: Part,
): Promise<void> {
  const reader = await store.reader(inode)
  try {
    for (const { atBytes, lengthBytes, sha256 } of file.spans) {
      const hash = createHash('sha256')
      let hasZeros = false
      let readBytes: number
      try {
        readBytes = await reader.read(atBytes, lengthBytes, piece => {
          hash.update(piece)
          hasZeros ||= hasRunOfZeros(piece)
        })
      } catch (error) {
        // Later spans may still be wrong.
        failed(part, path, error)
        continue
      }
      if (readBytes !== lengthBytes) {
        part.life.wrong.push({ path, atBytes: atBytes + readBytes, what: 'ends early' })
      } else if (hash.digest('hex') !== sha256) {
        part.life.wrong.push({ path, atBytes, what: hasZeros ? 'zeros' : 'other bytes' })
      }
    }
  } finally {
    reader.close()
  }
}

/** Zeros in place of lost data reach an end of the piece. Content that was written has no such run. */
function hasRunOfZeros(piece: Uint8Array): boolean {
  const ends = [piece.subarray(0, ZEROS_MIN), piece.subarray(-ZEROS_MIN)]
  return piece.length >= ZEROS_MIN && ends.some(end => end.every(byte => byte === 0))
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error ? `${String(error.code)}: ${error.message}` : error.message
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
