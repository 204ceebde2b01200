// Rounds of kills and of power cuts beside each other, until there are enough or something was lost.

import { FILESYSTEMS, type Filesystem, diskImagesSkipReason } from '../helpers/disk-images.ts'
import { cutRounds } from './cuts.ts'
import { killRounds } from './kills.ts'
import type { Round, RoundOptions } from './round.ts'

export interface TortureOptions extends RoundOptions {
  readonly kills: number
  readonly cuts: number
  /** so many of each run beside each other */
  readonly lanes: number
  readonly untilMs: number
  /** Told of every round as it ends. */
  readonly told: (round: Round) => Promise<void>
  readonly isStopped: () => boolean
}

/** More rounds than a lane will ever see. */
const SEEDS_OF_LANE = 1_000_000

export interface Total {
  rounds: number
  facts: number
  losses: number
}

export interface Outcome {
  /** kind => what came of it */
  readonly totals: ReadonlyMap<string, Total>
  /** filesystem => why no power was cut on it */
  readonly skipped: ReadonlyMap<Filesystem, string>
}

/** The first loss ends it; what runs beside comes to the end of its round. */
export async function torture(options: TortureOptions): Promise<Outcome> {
  const totals = new Map<string, Total>()
  const skipped = new Map<Filesystem, string>()
  for (const filesystem of FILESYSTEMS) {
    const reason = await diskImagesSkipReason(filesystem)
    if (reason !== false) skipped.set(filesystem, reason)
  }
  const filesystems = FILESYSTEMS.filter(filesystem => !skipped.has(filesystem))
  let isOver = false
  const begun = { kills: 0, cuts: 0 }
  const run = async (
    rounds: AsyncGenerator<Round>,
    what: 'kills' | 'cuts',
    count: number,
  ): Promise<void> => {
    if (++begun[what] > count) return
    for await (const round of rounds) {
      const total = totals.get(round.kind) ?? { rounds: 0, facts: 0, losses: 0 }
      totals.set(round.kind, total)
      total.rounds++
      total.facts += round.facts
      if (round.wrongs.length > 0) total.losses++
      isOver ||= total.losses > 0 || performance.now() > options.untilMs || options.isStopped()
      await options.told(round)
      if (isOver || ++begun[what] > count) return
    }
  }
  const cutCount = filesystems.length === 0 ? 0 : options.cuts
  const running = Array.from({ length: options.lanes }, (_, lane) => {
    const ofLane = { ...options, seed: options.seed + lane * SEEDS_OF_LANE }
    return [
      run(killRounds(ofLane), 'kills', options.kills),
      run(cutRounds(turned(filesystems, lane), ofLane), 'cuts', cutCount),
    ]
  })
  await Promise.all(running.flat())
  return { totals, skipped }
}

/** So that the lanes don't all try the same one at a time. */
function turned(filesystems: readonly Filesystem[], by: number): Filesystem[] {
  const first = by % Math.max(1, filesystems.length)
  return [...filesystems.slice(first), ...filesystems.slice(0, first)]
}
