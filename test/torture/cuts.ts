// Power cuts: the disk as it was at a moment of writing is mounted elsewhere, and perhaps loses its power again while the
// daemon starts on it.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import {
  checkDeeply,
  checkFiles,
  FILLER,
  CrashStore,
  daemonOn,
  startUnlocked,
} from '../crash/crash-store.ts'
import type { Cut } from '../crash/crash-record.ts'
import { DiskImages, type Filesystem } from '../helpers/disk-images.ts'
import { tool } from '../helpers/mounted.ts'
import { Random } from '../helpers/random.ts'
import { type Round, type RoundOptions, wrongsOf } from './round.ts'

/** So many are made before they are looked at, and then a new store: the images don't fill the disk. */
const CUTS_OF_STORE = 8
const CHECKS_AT_ONCE = 2
/** So that clients have met the end of the disk, and the daemon has tried to store what it had accepted. */
const FULL_MS = 3000
/** About as long as a start takes. */
const START_MS = 600

interface MadeCut {
  readonly name: string
  readonly cut: Cut
  readonly circumstances: string
  readonly random: Random
  /** somebody else had filled the disk */
  readonly wasFull: boolean
}

/** Store after store on these filesystems in turn. Ends when the consumer does. */
export async function* cutRounds(
  filesystems: readonly Filesystem[],
  options: RoundOptions,
  cutsOfStore = CUTS_OF_STORE,
): AsyncGenerator<Round> {
  for (let number = 0; ; number++) {
    const filesystem = filesystems[number % filesystems.length]
    if (filesystem === undefined) throw new Error('there is no filesystem to try')
    const seed = options.seed + number * cutsOfStore
    yield* roundsOfStore(filesystem, { ...options, seed }, cutsOfStore)
  }
}

async function* roundsOfStore(
  filesystem: Filesystem,
  options: RoundOptions,
  count: number,
): AsyncGenerator<Round> {
  const images = await DiskImages.make(filesystem)
  try {
    const made = await makeCuts(images, options, count)
    while (made.length > 0) {
      const next = made.splice(0, CHECKS_AT_ONCE)
      yield* await Promise.all(next.map(each => checkCut(images, filesystem, each, options.keepIn)))
    }
  } finally {
    await images.remove()
  }
}

/** Writes, and cuts while it does. */
async function makeCuts(
  images: DiskImages,
  { seed, env, fillsEveryDisk = false }: RoundOptions,
  count: number,
): Promise<MadeCut[]> {
  const random = new Random(seed)
  const disk = images.disk
  const store = await CrashStore.make({ disk, random, ...(env && { env }) })
  const made: MadeCut[] = []
  try {
    store.beginWriting()
    for (let number = 0; number < count; number++) {
      await delay(100 + random.below(600))
      // It stays full, so it is the last one.
      const wasFull = number === count - 1 && (random.chance(0.5) || fillsEveryDisk)
      const unrest = await store.makeUnrest()
      if (wasFull) await store.fillDisk()
      await delay(random.below(wasFull ? FULL_MS : 300))
      const circumstances = wasFull ? `${unrest}, full disk` : unrest
      const name = `cut-${seed + number}`
      const cut = store.record.beginCut()
      await images.cut(name)
      const again = new Random(seed + number)
      made.push({ name, cut: cut.end(), circumstances, random: again, wasFull })
    }
    await store.endWriting()
  } finally {
    await store.daemon.remove()
  }
  return made
}

async function checkCut(
  images: DiskImages,
  filesystem: Filesystem,
  { name, cut, circumstances, random, wasFull }: MadeCut,
  keepIn: string,
): Promise<Round> {
  const looking = new Looking(images, name, { random, wasFull })
  const wrongs = await wrongsOf(() => looking.check(cut))
  const kept = wrongs.length === 0 ? undefined : join(keepIn, `${filesystem}-${name}.image`)
  if (kept !== undefined) await images.keep(name, kept)
  await looking.end()
  return {
    kind: filesystem,
    seed: random.seed,
    circumstances: [circumstances, ...looking.circumstances].join(', '),
    facts: cut.promisedCount,
    wrongs,
    kept,
  }
}

/** The cut itself stays as it is: a copy of it is mounted. */
class Looking {
  readonly circumstances: string[] = []
  readonly #images: DiskImages
  readonly #name: string
  readonly #random: Random
  readonly #wasFull: boolean
  #copy: string
  #daemon: ReturnType<typeof daemonOn> | undefined

  constructor(
    images: DiskImages,
    name: string,
    { random, wasFull }: Pick<MadeCut, 'random' | 'wasFull'>,
  ) {
    this.#images = images
    this.#name = name
    this.#copy = `${name}-0`
    this.#random = random
    this.#wasFull = wasFull
  }

  async check(cut: Cut): Promise<string[]> {
    await this.#images.cut(this.#copy, this.#name)
    let daemon = await this.#mount()
    for (let again = 1; this.#random.chance(0.33); again++) {
      this.circumstances.push('cut in the start')
      daemon.begin()
      await delay(this.#random.below(START_MS))
      const next = `${this.#name}-${again}`
      await this.#images.cut(next, this.#copy)
      await this.#unmount()
      this.#copy = next
      daemon = await this.#mount()
    }
    await startUnlocked(daemon, cut)
    const [wrongs, found] = await checkFiles(daemon, cut, this.#wasFull)
    return [...wrongs, ...(await checkDeeply(daemon, found, this.#wasFull))]
  }

  async end(): Promise<void> {
    await this.#unmount()
    await rm(this.#images.path(this.#name))
  }

  async #mount(): Promise<ReturnType<typeof daemonOn>> {
    const disk = await this.#images.mount(this.#copy)
    // A start needs some room. Filesystems give it back later, btrfs with its next transaction.
    await rm(join(disk, FILLER), { force: true })
    await tool('sync', '-f', disk)
    this.#daemon = daemonOn(disk)
    return this.#daemon
  }

  async #unmount(): Promise<void> {
    await this.#daemon?.remove()
    this.#daemon = undefined
    await this.#images.drop(this.#copy)
  }
}
