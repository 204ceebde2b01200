// What a start does with keys: where their second copies are, and unlocking by files (for instance systemd credentials).

import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { CofferError } from '../errors.ts'
import { firstLine } from '../first-line.ts'
import type { PassphraseFile } from './contract.ts'
import type { Storage } from './storage.ts'

/** Away from the store's disk where there is a usual place for it. */
export function defaultKeystoreBackup(): string {
  return process.getuid?.() === 0
    ? '/var/lib/coffer/keystore-backup'
    : join(homedir(), '.local/share/coffer/keystore-backup')
}

/** @throws CofferError PASSPHRASE_FILE, GROUP_NOT_FOUND, WRONG_PASSPHRASE and the like: a start that was told to unlock doesn't go on locked */
export async function unlockFromFiles(
  storage: Storage,
  files: readonly PassphraseFile[],
): Promise<void> {
  for (const { group, path } of files) {
    const content = await readFile(path).catch((cause: unknown) => {
      throw new CofferError('PASSPHRASE_FILE', `The passphrase file ${path} can't be read.`, {
        cause,
      })
    })
    try {
      await storage.encryption.unlock(storage.groups.named(group), firstLine(content))
    } finally {
      content.fill(0)
    }
  }
}
