// kill -9, round after round on one store, in the middle of writing and of starting again.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { checkDeeply, checkFiles, CrashStore, startUnlocked } from '../crash/crash-store.ts'
import { tool } from '../helpers/mounted.ts'
import { Random } from '../helpers/random.ts'
import { type Round, type RoundOptions, wrongsOf } from './round.ts'

/** Then a new store, in which both groups are clear. */
const ROUNDS_OF_STORE = 25
/** Every so many rounds a scan, the cleaner, and all files once more. */
const DEEP_ROUNDS = 5
/** About as long as a start takes. */
const START_MS = 600

/** Ends when the consumer does. */
export async function* killRounds(options: RoundOptions): AsyncGenerator<Round> {
  for (let first = 0; ; first += ROUNDS_OF_STORE) {
    const base = await mkdtemp(join(tmpdir(), 'coffer-kills-'))
    const disk = join(base, 'disk')
    await tool('mkdir', disk)
    const random = new Random(options.seed + first)
    const store = await CrashStore.make({ ...options, disk, random })
    try {
      for (let number = 0; number < ROUNDS_OF_STORE; number++) {
        const round = new KillRound(store, disk, new Random(options.seed + first + number))
        yield await round.run(number % DEEP_ROUNDS === DEEP_ROUNDS - 1, options.keepIn)
      }
    } finally {
      await store.daemon.remove()
      await rm(base, { recursive: true, force: true })
    }
  }
}

class KillRound {
  readonly #store: CrashStore
  readonly #disk: string
  readonly #random: Random
  readonly #circumstances: string[] = []
  #facts = 0

  constructor(store: CrashStore, disk: string, random: Random) {
    this.#store = store
    this.#disk = disk
    this.#random = random
  }

  async run(isDeep: boolean, keepIn: string): Promise<Round> {
    const wrongs = await wrongsOf(() => this.#crash(isDeep))
    const { seed } = this.#random
    const kept = wrongs.length === 0 ? undefined : join(keepIn, `kill-${seed}`)
    if (kept !== undefined) await tool('cp', '-a', this.#copy, kept)
    const circumstances = this.#circumstances.join(', ')
    return { kind: 'kill', seed, circumstances, facts: this.#facts, wrongs, kept }
  }

  /** The store as the kill left it: the start changes it. */
  get #copy(): string {
    return `${this.#disk}-killed`
  }

  async #crash(isDeep: boolean): Promise<string[]> {
    const store = this.#store
    store.beginWriting()
    await delay(50 + this.#random.below(500))
    this.#circumstances.push(await store.makeUnrest())
    await delay(this.#random.below(300))
    const cut = await store.kill()
    this.#facts = cut.promisedCount
    await rm(this.#copy, { recursive: true, force: true })
    await tool('cp', '-a', '--reflink=auto', this.#disk, this.#copy)
    while (this.#random.chance(0.25)) {
      this.#circumstances.push('killed in the start')
      store.daemon.begin()
      await delay(this.#random.below(START_MS))
      await store.daemon.kill()
    }
    const passphrase = await startUnlocked(store.daemon, cut)
    const [wrongs, found] = await checkFiles(store.daemon, cut)
    if (isDeep) wrongs.push(...(await checkDeeply(store.daemon, found)))
    if (wrongs.length === 0) store.record.settle(cut, found, passphrase)
    return wrongs
  }
}
