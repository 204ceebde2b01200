// What a start does with keys: where their second copies are, and unlocking by files (for instance systemd credentials).

import { homedir } from 'node:os'
import { join } from 'node:path'
import { CofferError } from '../errors.ts'
import { reportInternalError } from '../internal-errors.ts'
import type { PassphraseFile } from './contract.ts'
import { readPassphraseFile } from './passphrase-file.ts'
import type { Storage } from './storage.ts'

/** Away from the store's disk where there is a usual place for it. */
export function defaultKeystoreBackup(): string {
  return process.getuid?.() === 0
    ? '/var/lib/coffer/keystore-backup'
    : join(homedir(), '.local/share/coffer/keystore-backup')
}

/**
 * Unlocks groups with the files. A group that no file opens stays locked, with an alert; all others are served.
 * @param isRequired fail instead
 * @returns a sentence for each group that stays locked
 * @throws CofferError UNLOCK_FAILED when it is required
 */
export async function unlockFromFiles(
  storage: Storage,
  files: readonly PassphraseFile[],
  isRequired: boolean,
): Promise<string[]> {
  const failures = new Map<string, string>()
  for (const [group, paths] of pathsByGroup(files)) {
    const failure = await unlockWithAny(storage, group, paths)
    if (failure !== undefined) failures.set(group, failure)
  }
  const warnings = [...failures.values()]
  if (isRequired && warnings.length > 0) throw new CofferError('UNLOCK_FAILED', warnings.join(' '))
  reportFailures(storage, failures)
  return warnings
}

/** Several files of one group are alternatives, for instance while a passphrase is being changed. */
function pathsByGroup(files: readonly PassphraseFile[]): Map<string, string[]> {
  const paths = new Map<string, string[]>()
  for (const { group, path } of files) paths.set(group, [...(paths.get(group) ?? []), path])
  return paths
}

/** @returns why none of the files opens the group; undefined when it is open */
async function unlockWithAny(
  storage: Storage,
  group: string,
  paths: readonly string[],
): Promise<string | undefined> {
  const failures: string[] = []
  for (const path of paths) {
    const reason = await unlockWith(storage, group, path)
    if (reason === undefined) return undefined
    failures.push(`The storage group ${group} was not unlocked with ${path}. ${reason}`)
  }
  return failures.join(' ')
}

/** @returns a sentence that says why it failed. Whatever goes wrong, the start goes on. */
async function unlockWith(
  { encryption, groups }: Storage,
  name: string,
  path: string,
): Promise<string | undefined> {
  let passphrase: Buffer | undefined
  try {
    const group = groups.named(name)
    passphrase = await readPassphraseFile(path)
    await encryption.unlock(group, passphrase)
    return undefined
  } catch (error) {
    if (!(error instanceof CofferError)) reportInternalError(`unlocking ${name}`, error)
    const group = groups.find(name)
    // A rotation that failed after the unlock: it is tried again each minute, and has its own alert.
    if (group !== undefined && encryption.isOpen(group.id)) return undefined
    return error instanceof Error ? error.message : String(error)
  } finally {
    passphrase?.fill(0)
  }
}

/** Alerts of earlier starts end unless the same happened again. */
function reportFailures(
  { alerts, alerting }: Storage,
  failures: ReadonlyMap<string, string>,
): void {
  const code = 'UNLOCK_FAILED'
  for (const { subject } of alerts.ofCode(code)) {
    if (subject === null || !failures.has(subject)) alerts.clear(code, subject)
  }
  for (const [group, text] of failures) {
    const isKnown = alerts.isRaised(code, group)
    alerts.raise(code, text, group)
    // Raising it again is silent, but the log of every start says what stays locked.
    if (isKnown) alerting.events.record(code, 'warning', text)
  }
}
