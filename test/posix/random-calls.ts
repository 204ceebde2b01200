// The comparison of random calls by two processes, on the mount and on a plain directory: every result, errno and, at the
// end, everything that is there must be the same. Between the calls the daemon now and then stops or is killed.

import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import type { Test } from 'tap'
import { MountedCoffer } from '../helpers/mounted.ts'
import { Sides, type Call, type Outcome } from './agents.ts'
import { anyCall, PRELUDE } from './calls.ts'

const CALLS_MAX = 60
/** one sequence in so many has a restart in it: each takes about a second */
const RESTART_EVERY = 12

const ALLOW_OTHER = '--allow-other'

const step = fc.record({ process: fc.constantFrom(0, 1), call: anyCall })

export interface Comparison {
  readonly runs: number
  readonly seed: number
  /** calls that are known to differ; they are not made */
  readonly leavesOut?: (call: Call) => boolean
  /** `links`, `xattrs`: what is known to differ in a tree, and not compared */
  readonly without?: readonly string[]
  /** whether the daemon is also killed, not only stopped; it is unless told */
  readonly kills?: boolean
}

export class RandomCalls {
  readonly #coffer: MountedCoffer
  readonly #startOptions: readonly string[]
  readonly #rootAlone: boolean
  /** what a tree is compared without */
  #without: readonly string[] = []
  #kills = true
  readonly #sides: Sides
  #sequence = 0

  private constructor(coffer: MountedCoffer, plain: string, startOptions: readonly string[]) {
    this.#coffer = coffer
    this.#startOptions = startOptions
    this.#rootAlone = !startOptions.includes(ALLOW_OTHER)
    this.#sides = new Sides(join(coffer.mount, 'c'), plain)
  }

  /**
   * A daemon, a plain directory, and the processes, until the test ends.
   * @param startOptions of `coffer start`; without `--allow-other` all calls are root's
   */
  static async begin(t: Test, startOptions = [ALLOW_OTHER]): Promise<RandomCalls> {
    const coffer = new MountedCoffer()
    const plain = mkdtempSync(join(tmpdir(), 'coffer-plain-'))
    t.teardown(async () => {
      await coffer.remove()
      await rm(plain, { recursive: true, force: true })
    })
    // mkdtemp's are for their owner alone. Symbolic links lead out of the sequence's own directory, into this one.
    chmodSync(plain, 0o777)
    chmodSync(coffer.base, 0o755)
    await coffer.start(...startOptions)
    await coffer.coffer('container', 'add', 'c')
    chmodSync(join(coffer.mount, 'c'), 0o777)
    const calls = new RandomCalls(coffer, plain, startOptions)
    t.teardown(() => calls.#sides.end())
    return calls
  }

  /**
   * Sequences that must agree.
   */
  async compare({ runs, seed, leavesOut, without, kills }: Comparison): Promise<void> {
    const path = process.env['COFFER_POSIX_PATH']
    this.#without = without ?? []
    this.#kills = kills ?? true
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: CALLS_MAX, size: 'max' }),
        async steps => this.#sequenceOf(steps.filter(({ call }) => leavesOut?.(call) !== true)),
      ),
      {
        numRuns: runs,
        seed,
        endOnFailure: process.env['COFFER_POSIX_SHRINK'] === undefined,
        // One of the sequences alone, as a failure names it.
        ...(path !== undefined && { path }),
      },
    )
  }

  /** What the last of these calls gives, after the usual beginning, in a directory of their own. */
  async tryOut(calls: readonly Call[]): Promise<{ mount: Outcome; plain: Outcome } | undefined> {
    await this.#begin()
    let last: { mount: Outcome; plain: Outcome } | undefined
    for (const call of calls) last = await this.#run(0, call)
    return last
  }

  async #begin(): Promise<string> {
    this.#sequence += 1
    const home = `s${this.#sequence}`
    await this.#sides.home(home)
    for (const process of [0, 1]) {
      for (const call of PRELUDE) await this.#same(process, call)
    }
    return home
  }

  async #sequenceOf(steps: readonly { process: number; call: Call }[]): Promise<void> {
    const home = await this.#begin()
    const isRestarted = this.#sequence % RESTART_EVERY === 0
    const restartAt = isRestarted ? Math.floor(steps.length / 2) : -1
    for (const [index, { process, call }] of steps.entries()) {
      if (index === restartAt) await this.#restart(home)
      await this.#same(process, call)
    }
    await this.#same(0, this.#tree())
  }

  async #same(process: number, call: Call): Promise<void> {
    const { mount, plain } = await this.#run(process, call)
    assert.deepEqual(mount, plain, JSON.stringify(call))
  }

  #tree(): Call {
    return { op: 'tree', path: '.', without: this.#without }
  }

  #run(process: number, call: Call): Promise<{ mount: Outcome; plain: Outcome }> {
    return this.#sides.run(process, this.#rootAlone ? asRoot(call) : call)
  }

  /** Stops or kills the daemon. Everything was synced, so that it is all there afterwards. */
  async #restart(home: string): Promise<void> {
    const coffer = this.#coffer
    await this.#same(0, { op: 'sync_all', path: '.' })
    await this.#same(0, this.#tree())
    await this.#sides.home(home)
    if (this.#kills && this.#sequence % (2 * RESTART_EVERY) === 0) await coffer.kill()
    else await coffer.stop()
    await coffer.start(...this.#startOptions)
    await this.#sides.home(home)
    await this.#same(0, this.#tree())
  }
}

function asRoot(call: Call): Call {
  const { user: _, inner, ...rest } = call
  return inner === undefined ? rest : { ...rest, inner: asRoot(inner as Call) }
}
