// A store whose daemon crashes: a clear and an encrypted group, clients that write into both, and all that may run beside
// them. After the crash: what was promised is there, a scan finds nothing, the cleaner changes nothing, and it goes on.

import { constants, open, readdir, readFile, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ChildDaemon } from '../helpers/child-daemon.ts'
import { tool } from '../helpers/mounted.ts'
import { sha256 } from '../helpers/open-store.ts'
import type { Random } from '../helpers/random.ts'
import { type Cut, CrashRecord, type Found } from './crash-record.ts'
import { ATTRIBUTE, CrashWriter } from './crash-writer.ts'

const CLEAR = 'DefaultGroup'
const SEALED = 'vault'
/** container => group */
const CONTAINERS = { clear: CLEAR, sealed: SEALED } as const
const LANES = 2
const PASSPHRASE = 'correct horse'
/** What somebody else takes of a disk that is to be full. */
export const FILLER = 'filler'
const LEFT_BYTES_MAX = 16 * 1024 * 1024
/** Where the store alone is looked at after the check, so it is no client's file. */
const AFTER = 'after'
const EXPECTED_ALERTS = new Set([
  'UNCLEAN_SHUTDOWN',
  'SPACE_LOW',
  'EVENT_LOOP_STALL',
  'MASS_DELETE',
  'KEY_ROTATED',
  // Of two copies one was written before the crash.
  'KEYSTORE_REPAIRED',
])
/** What was accepted and not synced had no room. */
const EXPECTED_OF_FULL_DISKS = 'DATA_LOST'

/** What may run beside the clients. */
const UNREST = [
  'nothing',
  'cleaner',
  'rotation',
  'rotation and cleaner',
  'compression',
  'passphrase',
] as const
export type Unrest = (typeof UNREST)[number] | 'encryption of existing data'

type Files = ReadonlyMap<string, Found>

export interface CrashStoreOptions {
  readonly disk: string
  readonly random: Random
  /** of the daemon that crashes */
  readonly env?: Readonly<Record<string, string>>
}

export class CrashStore {
  readonly record = new CrashRecord(PASSPHRASE)
  readonly daemon: ChildDaemon
  readonly #random: Random
  readonly #disk: string
  #writers: CrashWriter[] = []
  #writing: Promise<unknown> = Promise.resolve()
  /** what a client met */
  #failure: unknown
  #passphraseCount = 0

  private constructor({ disk, random, env }: CrashStoreOptions) {
    this.#random = random
    this.#disk = disk
    this.daemon = daemonOn(disk, env)
  }

  /** A new store, running, in which both groups are clear still. */
  static async make(options: CrashStoreOptions): Promise<CrashStore> {
    await makeGroups(options.disk)
    const store = new CrashStore(options)
    await store.daemon.start()
    return store
  }

  beginWriting(): void {
    const { record, daemon } = this
    this.#writers = Object.keys(CONTAINERS).flatMap(directory =>
      Array.from({ length: LANES }, (_, lane) => {
        const random = this.#random.fork()
        return new CrashWriter({ mount: daemon.mount, directory, record, random, lane })
      }),
    )
    const running = this.#writers.map(writer => writer.run())
    this.#writing = Promise.all(running).catch((error: unknown) => {
      this.#failure = error
    })
  }

  /** @throws what a client met */
  async endWriting(): Promise<void> {
    for (const writer of this.#writers) writer.isStopped = true
    await this.#writing
    this.#checkClients()
  }

  /** Somebody else takes nearly all room that the disk has, and the clients hear of it. */
  async fillDisk(): Promise<void> {
    for (const writer of this.#writers) writer.mayRunOutOfSpace = true
    const { bavail, bsize } = await statfs(this.#disk)
    const filler = join(this.#disk, FILLER)
    let bytes = bavail * bsize - this.#random.below(LEFT_BYTES_MAX)
    // btrfs says more than it has, and the clients take some meanwhile.
    while (!(await hasTaken(filler, bytes))) bytes -= LEFT_BYTES_MAX
  }

  /** The daemon is killed while all that goes on. @returns what must be found now @throws what a client met before */
  async kill(): Promise<Cut> {
    this.#checkClients()
    await this.daemon.kill()
    for (const writer of this.#writers) writer.isStopped = true
    // What they meet is the kill.
    await this.#writing
    this.#failure = undefined
    return this.record.beginCut().end()
  }

  #checkClients(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Something begins to run beside the clients, and goes on. @returns what */
  async makeUnrest(): Promise<Unrest> {
    const { groups } = await this.daemon.call('storageGroup.show', { name: SEALED })
    const unrest = this.#nextUnrest(groups[0]?.isEncrypted ?? false)
    // A pass that runs still is as good, and a crash ends all of them.
    await this.#begin(unrest).catch((error: unknown) => {
      if (!hasCode(error, 'CLEANER_BUSY')) throw error
    })
    return unrest
  }

  #nextUnrest(isEncrypted: boolean): Unrest {
    if (!isEncrypted && this.#random.chance(0.4)) return 'encryption of existing data'
    const unrest = UNREST[this.#random.below(UNREST.length)] ?? 'nothing'
    return isEncrypted || !unrest.startsWith('rotation') ? unrest : 'cleaner'
  }

  async #begin(unrest: Unrest): Promise<void> {
    const { daemon } = this
    switch (unrest) {
      case 'nothing':
        return
      case 'encryption of existing data':
        await daemon.call('storageGroup.encryption', { name: SEALED, set: 'on' })
        break
      case 'rotation':
        // Not waited for: the crash comes in its middle.
        daemon.call('storageGroup.rotateKey', { name: SEALED }).catch(() => undefined)
        return
      case 'rotation and cleaner':
        await daemon.call('storageGroup.rotateKey', { name: SEALED })
        break
      case 'compression': {
        const compression = this.#random.chance(0.5) ? 'none' : 'fast'
        const name = this.#random.chance(0.5) ? CLEAR : SEALED
        await daemon.call('storageGroup.update', { name, compression })
        break
      }
      case 'passphrase':
        this.#changePassphrase()
        return
      case 'cleaner':
    }
    await daemon.call('maintenance.reclaimSpace', {})
  }

  /** Not waited for: the crash comes in its middle. */
  #changePassphrase(): void {
    const [current, ...others] = this.record.passphrases
    if (current === undefined || others.length > 0) return
    const next = `${PASSPHRASE} ${++this.#passphraseCount}`
    this.record.beginPassphrase(next)
    this.daemon.call('storageGroup.setPassphrase', { name: SEALED, current, next }).then(
      () => this.record.promisePassphrase(next),
      () => undefined,
    )
  }
}

/** Starts it, and opens the encrypted group. @returns its passphrase @throws when it has another one than was promised */
export async function startUnlocked(
  daemon: ChildDaemon,
  { passphrases }: Pick<Cut, 'passphrases'>,
): Promise<string> {
  for (const [index, passphrase] of passphrases.entries()) {
    daemon.usePassphrase(SEALED, passphrase)
    try {
      await daemon.start()
      return passphrase
    } catch (error) {
      const isWrong = error instanceof Error && error.message.includes('The passphrase is wrong.')
      if (!isWrong || index === passphrases.length - 1) throw error
    }
  }
  throw new Error('a store without a passphrase')
}

/** @returns false when there is not so much room */
async function hasTaken(path: string, bytes: number): Promise<boolean> {
  if (bytes <= 0) return true
  return tool('fallocate', '-l', String(bytes), path).then(
    () => true,
    (error: unknown) => {
      if (!String(error).includes('No space left')) throw error
      return false
    },
  )
}

/** A daemon on a disk that has such a store. */
export function daemonOn(disk: string, env: Readonly<Record<string, string>> = {}): ChildDaemon {
  // A cut is a copy of the disk, and the original is still mounted.
  const copyAnswer = 'moved'
  return new ChildDaemon({ disk, env, passphrases: { [SEALED]: PASSPHRASE }, copyAnswer })
}

/** A start that is to unlock a group must find it, with its passphrase. */
async function makeGroups(disk: string): Promise<void> {
  const daemon = new ChildDaemon({ disk })
  try {
    await daemon.start()
    await daemon.call('storageGroup.add', { name: SEALED })
    await daemon.call('storageGroup.setPassphrase', { name: SEALED, next: PASSPHRASE })
    for (const [name, group] of Object.entries(CONTAINERS)) {
      await daemon.call('container.add', { name, group })
    }
    for (const name of Object.keys(CONTAINERS)) await tool('sync', '-f', join(daemon.mount, name))
  } finally {
    await daemon.remove()
  }
}

/** All files of the clients, as the daemon has them now. */
export async function readAll(mount: string): Promise<Files> {
  const files = new Map<string, Found>()
  for (const container of Object.keys(CONTAINERS)) {
    const directory = join(mount, container)
    const attributes = await readAttributes(directory)
    for (const name of await readdir(directory)) {
      if (name === AFTER) continue
      const read = readDirectly(join(directory, name))
      const bytes = await read.catch((error: Error) => Buffer.from(error.message))
      files.set(`${container}/${name}`, { bytes, attribute: attributes.get(name) })
    }
  }
  return files
}

/** What the daemon says now, not what the kernel kept. */
async function readDirectly(path: string): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_DIRECT)
  try {
    return await file.readFile()
  } finally {
    await file.close()
  }
}

async function readAttributes(directory: string): Promise<Map<string, string>> {
  const options = ['--absolute-names', '--recursive', '--match', `^${ATTRIBUTE}$`, '--dump']
  const dump = await tool('getfattr', ...options, directory)
  const values = new Map<string, string>()
  for (const [, path = '', value = ''] of dump.matchAll(/^# file: (.*)\n.*="(.*)"$/gm)) {
    values.set(path.slice(directory.length + 1), value)
  }
  return values
}

/** What is wrong after a crash with the files of a store that has been started again. */
export async function checkFiles(
  daemon: ChildDaemon,
  cut: Cut,
  wasFull = false,
): Promise<[string[], Files]> {
  const found = await readAll(daemon.mount)
  return [[...cut.wrongs(found), ...(await unexpectedAlerts(daemon, wasFull))], found]
}

/** The rest of what must hold. @param found what the files held just now @returns what is wrong */
export async function checkDeeply(
  daemon: ChildDaemon,
  found: Files,
  wasFull = false,
): Promise<string[]> {
  const wrongs = await scan(daemon)
  const fresh = Buffer.from(`goes on ${found.size}`)
  for (const container of Object.keys(CONTAINERS)) await writeAfter(daemon, container, fresh)
  const outcome = await clean(daemon)
  if (outcome !== 'complete') wrongs.push(`the cleaner came to the end ${outcome}`)
  const later = await readAll(daemon.mount)
  for (const [name, { bytes, attribute }] of found) {
    const again = later.get(name)
    const isSame = again !== undefined && sha256(again.bytes) === sha256(bytes)
    if (!isSame || again.attribute !== attribute) wrongs.push(`the cleaner has changed ${name}`)
  }
  for (const container of Object.keys(CONTAINERS)) {
    const again = await readFile(join(daemon.mount, container, AFTER))
    if (!again.equals(fresh)) wrongs.push(`${container}: what was written after it is not there`)
  }
  return [...wrongs, ...(await unexpectedAlerts(daemon, wasFull))]
}

async function writeAfter(daemon: ChildDaemon, container: string, bytes: Buffer): Promise<void> {
  const file = await open(join(daemon.mount, container, AFTER), 'w')
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function scan(daemon: ChildDaemon): Promise<string[]> {
  await daemon.call('maintenance.scan', { data: true, wait: true })
  const { report } = await daemon.call('maintenance.scanReport', {})
  if (report?.outcome === 'clean') return []
  return [`a scan says ${JSON.stringify(report)}`]
}

/** @returns how a pass ended; one that runs already, as after a crash that interrupted it, is waited for */
export async function clean(daemon: ChildDaemon): Promise<string> {
  for (;;) {
    try {
      const { outcome } = await daemon.call('maintenance.reclaimSpace', { wait: true })
      return outcome
    } catch (error) {
      if (!hasCode(error, 'CLEANER_BUSY')) throw error
      await delay(50)
    }
  }
}

async function unexpectedAlerts(daemon: ChildDaemon, wasFull: boolean): Promise<string[]> {
  const { alerts } = await daemon.call('alerts.show', {})
  const unexpected = alerts.filter(
    ({ code }) => !EXPECTED_ALERTS.has(code) && !(wasFull && code === EXPECTED_OF_FULL_DISKS),
  )
  return unexpected.map(({ code, text }) => `the alert ${code}: ${text}`)
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
