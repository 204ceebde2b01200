// Damages one file of a store at a place that a seed chooses, and says what was hit. The weights
// prefer keys of LevelDB's tables: the keys that share a prefix with a damaged one change with it.

import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../helpers/random.ts'
import { RECORD_TABLES, regionsIn } from './adapter.ts'
import {
  liveFiles,
  logRanges,
  readTable,
  type LabelledRange,
  type TableLayout,
} from './level-files.ts'
import type { PreparedStore } from './prepare.ts'

const SECTOR_BYTES = 512
const HEADER_PAGE_BYTES = 4096
/** A choice that changes no byte, as zeros for zeros, is made again. */
const TRIES_MAX = 200

export const FILE_KINDS = [
  'table',
  'log',
  'manifest',
  'current',
  'block',
  'note',
  'copy',
  'filter',
] as const
export type FileKind = (typeof FILE_KINDS)[number]

export type DamageKind =
  'flip' | 'zero' | 'repeat' | 'swap' | 'foreign' | 'cut' | 'missing' | 'older'

const FILE_WEIGHTS: Readonly<Record<FileKind, number>> = {
  table: 46,
  log: 12,
  manifest: 6,
  current: 2,
  block: 22,
  note: 4,
  copy: 4,
  filter: 4,
}

const DAMAGE_WEIGHTS: Readonly<Record<DamageKind, number>> = {
  flip: 40,
  zero: 12,
  repeat: 8,
  swap: 8,
  foreign: 8,
  cut: 8,
  missing: 8,
  older: 8,
}

/** Only flips hit single keys, so tables get more of them. */
const TABLE_DAMAGE_WEIGHTS = { ...DAMAGE_WEIGHTS, flip: 130 }

/** Tables of records, by the harm that their loss does. */
const RECORD_WEIGHTS: Readonly<Record<keyof typeof RECORD_TABLES, number>> = {
  block: 6,
  extents: 8,
  inode: 4,
  dentry: 3,
  chunk: 2,
  container: 1,
  group: 1,
  superblock: 1,
  xattr: 1,
}

/** Where a flip hits a table. */
const AIM_WEIGHTS = {
  restartFirstByte: 30,
  restartKey: 14,
  key: 16,
  entryHeader: 8,
  value: 8,
  restarts: 7,
  index: 7,
  filter: 4,
  any: 6,
}
type Aim = keyof typeof AIM_WEIGHTS

interface Target {
  /** below the store's directory */
  readonly path: string
  readonly kind: FileKind
  readonly bytes: Buffer
  /** of used bytes, in order, without overlap */
  readonly ranges: readonly LabelledRange[]
  readonly table?: TableLayout
  readonly block?: number
}

export interface Damage {
  readonly file: string
  readonly fileKind: FileKind
  readonly damageKind: DamageKind
  readonly what: string
  /** block file that was hit */
  readonly block: number | null
  /** what the first used byte that was hit belongs to; null when none was */
  readonly used: string | null
  /** only bytes of chunks that nothing refers to were hit: read by a scan, unless the cleaner was faster */
  readonly onlyDead: boolean
}

export interface DamageSource {
  readonly prepared: PreparedStore
  readonly targets: readonly Target[]
}

const DEAD = 'dead region'

function blockOf(name: string): number | undefined {
  const digits = /(?:^|[^0-9a-f])([0-9a-f]{8})(?![0-9a-f])/.exec(name)?.[1]
  return digits === undefined ? undefined : Number.parseInt(digits, 16)
}

export interface BlockFile {
  readonly path: string
  readonly block: number
}

/** Files anywhere below a store whose names say that they are block files, also where the cleaner puts dead ones. */
export function blockFilesIn(store: string): BlockFile[] {
  return readdirSync(store, { recursive: true, withFileTypes: true }).flatMap(entry => {
    const block = entry.isFile() ? blockOf(entry.name) : undefined
    if (block === undefined || !entry.name.includes('.blk')) return []
    return [{ path: join(entry.parentPath, entry.name), block }]
  })
}

/** Reads all files that can be damaged. */
export async function damageSource(prepared: PreparedStore): Promise<DamageSource> {
  const store = join(prepared.keep, 'store')
  const targets: Target[] = []
  const add = (
    path: string,
    kind: FileKind,
    more: (bytes: Buffer) => Partial<Target> = () => ({}),
  ): void => {
    const bytes = readFileSync(join(store, path))
    targets.push({ path, kind, bytes, ranges: [], ...more(bytes) })
  }
  const live = liveFiles(join(store, 'metadata'))
  for (const name of live.tables) {
    add(join('metadata', name), 'table', bytes => {
      const table = readTable(bytes)
      return { table, ranges: table.ranges }
    })
  }
  for (const name of live.logs) {
    add(join('metadata', name), 'log', bytes => ({ ranges: logRanges(bytes, 'log') }))
  }
  add(join('metadata', live.manifest), 'manifest', bytes => ({
    ranges: logRanges(bytes, 'manifest'),
  }))
  add(join('metadata', 'CURRENT'), 'current', bytes => ({
    ranges: [{ from: 0, to: bytes.length, label: 'CURRENT' }],
  }))
  const liveRegions = new Set(prepared.extents.map(({ block, page }) => `${block} ${page}`))
  for (const { path, block } of blockFilesIn(store)) {
    const regions = await regionsIn(path)
    const ranges = [{ from: 0, to: HEADER_PAGE_BYTES, label: 'block header' }]
    for (const { page, usedBytes } of regions) {
      const from = page * HEADER_PAGE_BYTES
      const label = liveRegions.has(`${block} ${page}`) ? 'live region' : DEAD
      ranges.push({ from, to: from + usedBytes, label })
    }
    // The header of a file that nothing refers to is as dead as its regions.
    const isDead = ranges.every(({ label }) => label !== 'live region')
    if (isDead && ranges[0] !== undefined) ranges[0].label = DEAD
    add(path.slice(store.length + 1), 'block', () => ({ ranges, block }))
  }
  add('commit-note', 'note')
  for (const name of readdirSync(join(store, 'copies')).sort()) add(join('copies', name), 'copy')
  if (existsSync(join(store, 'chunk-filter'))) add('chunk-filter', 'filter')
  return { prepared, targets }
}

function weighted<Name extends string>(random: Random, weights: Record<Name, number>): Name {
  const entries = Object.entries(weights) as [Name, number][]
  let left = random.next() * entries.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [name, weight] of entries) {
    left -= weight
    if (left < 0) return name
  }
  throw new Error('there is nothing to choose from')
}

function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[random.below(items.length)]
  if (item === undefined) throw new Error('there is nothing to choose from')
  return item
}

/** A file after the damage; without bytes it is missing. */
interface Change {
  readonly bytes: Buffer | undefined
  readonly what: string
}

/** Damages a copy of the prepared store. */
export function damageStore(source: DamageSource, store: string, random: Random): Damage {
  for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
    const fileKind = weighted(random, FILE_WEIGHTS)
    const candidates = source.targets.filter(({ kind }) => kind === fileKind)
    if (candidates.length === 0) continue
    const target = pick(random, candidates)
    const weights = fileKind === 'table' ? TABLE_DAMAGE_WEIGHTS : DAMAGE_WEIGHTS
    const damageKind = weighted(random, weights)
    const change = changeOf(source, target, damageKind, random)
    if (change === undefined || change.bytes?.equals(target.bytes) === true) continue
    const path = join(store, target.path)
    if (change.bytes === undefined) rmSync(path)
    else writeFileSync(path, change.bytes)
    const labels = labelsHit(target, change.bytes)
    const used = labels.find(label => label !== DEAD) ?? labels[0] ?? null
    return {
      file: target.path,
      fileKind,
      damageKind,
      what: change.what,
      block: target.block ?? null,
      used,
      onlyDead: used === DEAD,
    }
  }
  throw new Error('no choice changes a byte')
}

/** Labels of the used ranges in which a byte is another one, or gone. */
function labelsHit({ bytes, ranges }: Target, after: Buffer | undefined): string[] {
  const labels = new Set<string>()
  for (const { from, to, label } of ranges) {
    const before = bytes.subarray(from, to)
    if (after === undefined || !before.equals(after.subarray(from, to))) labels.add(label)
  }
  return [...labels]
}

function changeOf(
  { prepared, targets }: DamageSource,
  target: Target,
  kind: DamageKind,
  random: Random,
): Change | undefined {
  const { bytes } = target
  const sectors = Math.ceil(bytes.length / SECTOR_BYTES)
  const startOf = (sector: number): number => sector * SECTOR_BYTES
  const sectorAt = (sector: number): Buffer =>
    bytes.subarray(startOf(sector), startOf(sector) + SECTOR_BYTES)
  const overwritten = (sector: number, by: Uint8Array): Buffer => {
    const copy = Buffer.from(bytes)
    copy.set(by.subarray(0, copy.length - startOf(sector)), startOf(sector))
    return copy
  }
  const sector = random.below(sectors)
  switch (kind) {
    case 'flip': {
      const at = flipPlace(target, random)
      const bit = random.below(8)
      const copy = Buffer.from(bytes)
      copy[at] = (copy[at] ?? 0) ^ (1 << bit)
      return { bytes: copy, what: `bit ${bit} of byte ${at} flipped` }
    }
    case 'zero':
      return {
        bytes: overwritten(sector, Buffer.alloc(sectorAt(sector).length)),
        what: `sector ${sector} zeroed`,
      }
    case 'repeat':
      if (sector === 0) return undefined
      return {
        bytes: overwritten(sector, sectorAt(sector - 1)),
        what: `sector ${sector} a copy of the one before it`,
      }
    case 'swap': {
      const other = random.below(sectors)
      const [from, to] = [sectorAt(sector), sectorAt(other)]
      if (from.length !== to.length) return undefined
      const copy = overwritten(sector, to)
      copy.set(from, startOf(other))
      return { bytes: copy, what: `sectors ${sector} and ${other} swapped` }
    }
    case 'foreign': {
      const other = pick(random, targets)
      const from = startOf(random.below(Math.ceil(other.bytes.length / SECTOR_BYTES)))
      if (other === target) return undefined
      return {
        bytes: overwritten(sector, other.bytes.subarray(from, from + SECTOR_BYTES)),
        what: `sector ${sector} overwritten with bytes of ${other.path} at ${from}`,
      }
    }
    case 'cut': {
      const to = random.chance(0.5) ? startOf(sector) : random.below(bytes.length)
      return { bytes: Buffer.from(bytes.subarray(0, to)), what: `cut to ${to} bytes` }
    }
    case 'missing':
      return { bytes: undefined, what: 'missing' }
    case 'older': {
      const versions = prepared.older
        .map(directory => join(directory, target.path))
        .filter(path => existsSync(path))
        .map(path => readFileSync(path))
        .filter(version => !version.equals(bytes))
      if (versions.length === 0) return undefined
      return { bytes: pick(random, versions), what: 'replaced by an older version of itself' }
    }
  }
}

function flipPlace(target: Target, random: Random): number {
  const { bytes, table } = target
  return table === undefined ? random.below(bytes.length) : tablePlace(bytes, table, random)
}

function tablePlace(bytes: Buffer, table: TableLayout, random: Random): number {
  const aim: Aim = weighted(random, AIM_WEIGHTS)
  if (aim === 'any') return random.below(bytes.length)
  if (aim === 'restarts' || aim === 'index' || aim === 'filter') {
    const { from, to } = pick(
      random,
      table.ranges.filter(({ label }) => label === aim),
    )
    return from + random.below(to - from)
  }
  const records = RECORD_TABLES[weighted(random, RECORD_WEIGHTS)]
  const ofRecords = table.entries.filter(({ recordTable }) => recordTable === records)
  const entry = pick(random, ofRecords.length > 0 ? ofRecords : table.entries)
  const restart = table.entries[entry.restart] ?? entry
  switch (aim) {
    case 'restartFirstByte':
      return restart.keyAt
    case 'restartKey':
      return restart.keyAt + random.below(restart.valueAt - restart.keyAt)
    case 'key':
      return entry.keyAt + random.below(entry.valueAt - entry.keyAt)
    case 'entryHeader':
      return entry.headerAt + random.below(entry.keyAt - entry.headerAt)
    case 'value':
      return entry.valueAt + random.below(entry.endAt - entry.valueAt)
  }
}
