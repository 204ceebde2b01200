// The rules that a damaged store has to keep, each with a name.

import { fork } from 'node:child_process'
import { statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { FoundExtent } from './adapter.ts'
import { blockFilesIn, type Damage } from './damages.ts'
import type { Life, Observation } from './observe.ts'
import type { PreparedStore } from './prepare.ts'

const EXTENTS_CHILD = join(import.meta.dirname, 'extents-child.js')

export const RULES = {
  'blocks-kept': 'every block file is still there, with the bytes that it had after the damage',
  'no-wrong-byte': 'every read returns what was written, or an error',
  'no-silent-loss':
    'a name that is missing is told of by a refusal, an alert, a finding or an error',
  'damage-told': 'damage of bytes that are used is told of in the same way',
  'no-abort': 'the process neither dies nor hangs, and no error is left uncaught',
} as const
export type Rule = keyof typeof RULES

export interface Violation {
  readonly rule: Rule
  readonly text: string
}

/** How the process of a case has ended. */
export interface CaseEnd {
  readonly observation: Observation | undefined
  /** block files on the disk when the store had opened first; undefined when it did not open */
  readonly startedBlocks: readonly number[] | undefined
  /** the step that it was in */
  readonly step: string
  /** signal, exit code or hang; undefined when all is well */
  readonly fault: string | undefined
  readonly stderr: string
}

/** Codes of the warnings that the undamaged store gives. */
export type Baseline = ReadonlySet<string>

interface BlockStamp {
  readonly block: number
  readonly path: string
  readonly inode: number
  readonly sizeBytes: number
  readonly modifiedMs: number
}

export type BlockStamps = readonly BlockStamp[]

/** Taken just after the damage. */
export function stampBlocks(store: string): BlockStamps {
  return blockFilesIn(store).map(({ path, block }) => {
    const { ino, size, mtimeMs } = statSync(path)
    return { block, path, inode: ino, sizeBytes: size, modifiedMs: mtimeMs }
  })
}

function warningsOf({ lives }: Observation): string[] {
  return lives.flatMap(life => life.warnings)
}

export function baselineOf(observation: Observation): Baseline {
  return new Set(warningsOf(observation))
}

/** Refusals, warnings, findings and errors: the ways in which an administrator or a client hears of damage. */
export function tellings(observation: Observation, baseline: Baseline): string[] {
  const told = warningsOf(observation).filter(code => !baseline.has(code))
  for (const life of observation.lives) told.push(...tellingsOf(life))
  return [...new Set(told)]
}

function tellingsOf(life: Life): string[] {
  const told: string[] = []
  if (life.refused !== undefined) told.push(`refused: ${life.refused}`)
  if (life.unlockError !== undefined) told.push(`not unlocked: ${life.unlockError}`)
  if (life.closeError !== undefined) told.push(`close: ${life.closeError}`)
  for (const { outcome, text } of life.passes) {
    if (outcome !== 'complete') told.push(`pass ${outcome}: ${text}`)
  }
  if (life.scan !== undefined && life.scan.outcome !== 'clean') {
    told.push(`scan ${life.scan.outcome}: ${life.scan.text}`, ...life.scan.findings)
  }
  told.push(...life.errors.map(({ path, code }) => `${path}: ${code}`))
  return told
}

export interface Judged {
  readonly prepared: PreparedStore
  readonly damage: Damage
  readonly end: CaseEnd
  readonly baseline: Baseline
  /** directory of the damaged store as the case has left it */
  readonly store: string
  readonly stamps: BlockStamps
  /** dead block files go to the trash, so that none is ever gone */
  readonly hasTrash: boolean
}

export async function judge(judged: Judged): Promise<Violation[]> {
  const { end, damage, baseline } = judged
  const violations: Violation[] = []
  const add = (rule: Rule, text: string): void => void violations.push({ rule, text })
  for (const text of await lostBlocks(judged)) add('blocks-kept', text)
  if (end.fault !== undefined) {
    add('no-abort', `${end.fault} during "${end.step}": ${end.stderr.slice(-500)}`)
  }
  const { observation } = end
  if (observation === undefined) return violations
  const [mistake] = observation.mistakes
  if (mistake !== undefined) {
    add('no-abort', `${mistake.slice(0, 1000)}${andMore(observation.mistakes)}`)
  }
  for (const [index, { wrong }] of observation.lives.entries()) {
    const [first] = wrong
    if (first === undefined) continue
    const { path, atBytes, what } = first
    add('no-wrong-byte', `life ${index + 1}: ${path} at ${atBytes}: ${what}${andMore(wrong)}`)
  }
  const told = tellings(observation, baseline)
  const names = observation.lives.flatMap(({ missing, extra }) => [
    ...missing.map(name => `missing ${name}`),
    ...extra.map(name => `not deleted ${name}`),
  ])
  if (names.length > 0 && told.length === 0) {
    add('no-silent-loss', `${names[0]}${andMore(names)}`)
  }
  if (mustBeTold(damage, observation) && told.length === 0) {
    add('damage-told', `${damage.fileKind}, ${damage.used}: nothing was said`)
  }
  return violations
}

function andMore({ length }: readonly unknown[]): string {
  return length > 1 ? ` and ${length - 1} more` : ''
}

/** Chunks that nothing refers to are read by the scan alone, when the cleaner has not freed them before. */
function mustBeTold({ used, onlyDead, block }: Damage, { lives }: Observation): boolean {
  if (used === null) return false
  if (!onlyDead) return true
  return block !== null && lives[0]?.scannedBlocks.includes(block) === true
}

async function lostBlocks(judged: Judged): Promise<string[]> {
  const { store, stamps, hasTrash } = judged
  const found = blockFilesIn(store)
  const lost: BlockStamp[] = []
  for (const stamp of stamps) {
    const copies = found.filter(({ block }) => block === stamp.block)
    let isKept = false
    for (const { path } of copies) isKept ||= await isUnchanged(stamp, path, judged)
    if (!isKept) lost.push(stamp)
  }
  if (lost.length === 0) return []
  const afterStart = new Set(judged.end.startedBlocks)
  const when = (block: number): string =>
    afterStart.has(block) ? 'after the start' : 'at the start'
  if (hasTrash) return lost.map(({ block }) => `block file ${block} gone or changed ${when(block)}`)
  const needed = await neededBlocks(judged, new Set(lost.map(({ block }) => block)))
  return lost
    .filter(({ block }) => needed.has(block))
    .map(({ block }) => `block file ${block} gone ${when(block)}, its live data lies nowhere else`)
}

/** Same file and not written to: same bytes. Otherwise it is compared with the original, unless that was damaged. */
async function isUnchanged(
  { inode, sizeBytes, modifiedMs, block }: BlockStamp,
  path: string,
  { prepared, damage }: Judged,
): Promise<boolean> {
  const { ino, size, mtimeMs } = statSync(path)
  if (size < sizeBytes) return false
  if (ino === inode && mtimeMs === modifiedMs && size === sizeBytes) return true
  if (damage.block === block) return false
  const original = blockFilesIn(`${prepared.keep}/store`).find(each => each.block === block)
  return original !== undefined && (await startsWith(path, original.path, sizeBytes))
}

async function startsWith(path: string, original: string, lengthBytes: number): Promise<boolean> {
  const read = async (name: string): Promise<Buffer> => {
    const file = await open(name)
    try {
      const bytes = Buffer.alloc(lengthBytes)
      const { bytesRead } = await file.read(bytes, 0, lengthBytes, 0)
      return bytes.subarray(0, bytesRead)
    } finally {
      await file.close()
    }
  }
  return (await read(path)).equals(await read(original))
}

/** Of the block files that are gone, those with live data that the store's own extents no longer find elsewhere. */
async function neededBlocks(
  { prepared, store }: Judged,
  gone: ReadonlySet<number>,
): Promise<Set<number>> {
  const there = new Set(blockFilesIn(store).map(({ block }) => block))
  const now = await extentsNow(store)
  const nameOf = ({ inode, startBytes, lengthBytes }: FoundExtent): string =>
    `${inode} ${startBytes} ${lengthBytes}`
  const found = new Set(now.filter(({ block }) => there.has(block)).map(nameOf))
  const needed = prepared.extents.filter(
    extent => gone.has(extent.block) && !found.has(nameOf(extent)),
  )
  return new Set(needed.map(({ block }) => block))
}

/** None when the process ends without an answer. */
async function extentsNow(store: string): Promise<FoundExtent[]> {
  const places = [join(store, 'metadata'), join(store, '..', 'extents')]
  const child = fork(EXTENTS_CHILD, places, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  let found: FoundExtent[] = []
  child.on('message', message => {
    found = message as FoundExtent[]
  })
  await new Promise(resolve => child.on('close', resolve))
  return found
}
