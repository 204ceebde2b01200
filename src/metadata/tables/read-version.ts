// CURRENT and the manifest that it names, while LevelDB may be writing to it.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Finding, Version } from './contract.ts'
import { codeOf, manifestNamed, readWhole } from './files.ts'
import { readLog } from './log-file.ts'
import type { LogContent } from './log-file.ts'
import { addUp } from './manifest.ts'

/** A write in flight is over long before the last of them. */
const ATTEMPTS = 5
const ATTEMPT_DELAY_MS = 20

export interface FoundVersion {
  /** absent where CURRENT names no manifest */
  readonly manifest?: string
  /** absent where no state of the database can be told */
  readonly version?: Version
  readonly findings: readonly Finding[]
}

/** Throws only what is no damage of these files. */
export async function readVersion(directory: string): Promise<FoundVersion> {
  let result = await readOnce(directory)
  // LevelDB makes a new manifest before it removes the old one, and writes to it in small pieces.
  for (let attempt = 1; attempt < ATTEMPTS && result.findings.length > 0; attempt++) {
    await sleep(ATTEMPT_DELAY_MS)
    result = await readOnce(directory)
  }
  return result
}

/** A log's content, once it is written; undefined if it is gone. */
export async function readSettled(directory: string, name: string): Promise<LogContent> {
  for (let attempt = 1; ; attempt++) {
    const content = readLog(await readWhole(directory, name), true)
    if (content.damage?.isAtEnd !== true || attempt === ATTEMPTS) return content
    await sleep(ATTEMPT_DELAY_MS)
  }
}

async function readOnce(directory: string): Promise<FoundVersion> {
  let manifest: string | undefined
  try {
    manifest = manifestNamed(await readWhole(directory, 'CURRENT'))
    if (manifest === undefined) return found('CURRENT', 'names no manifest')
  } catch (error) {
    return found('CURRENT', reasonOf(error))
  }
  try {
    const { records, damage } = readLog(await readWhole(directory, manifest), false)
    const version = addUp(records)
    if (damage === undefined) return { manifest, version, findings: [] }
    const { what, isAtEnd } = damage
    const finding: Finding = { file: manifest, what, ...(isAtEnd && { isTornEnd: true }) }
    return { manifest, version, findings: [finding] }
  } catch (error) {
    return { manifest, findings: [{ file: manifest, what: reasonOf(error) }] }
  }
}

function found(file: string, what: string): FoundVersion {
  return { findings: [{ file, what }] }
}

/** What is wrong with a file that can't be read or parsed. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error)
  if (code === 'ENOENT') return 'is missing'
  if (error instanceof RangeError) return error.message
  if (typeof code === 'string') return `can't be read (${code})`
  throw error
}
