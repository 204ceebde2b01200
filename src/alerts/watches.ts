// Conditions that show by looking regularly. Each watch is told figures and times, and raises or clears its alerts.

import type { AlertCode } from './kinds.ts'

export interface AlertRaiser {
  raise(code: AlertCode, text: string, subject?: string | null): void
  clear(code: AlertCode, subject?: string | null): void
}

/** Shares of the disk that are free; an alert ends only a margin above, so that it doesn't flutter. */
const SPACE_LOW_SHARE = 0.1
const SPACE_CRITICAL_SHARE = 0.04
const SPACE_MARGIN_SHARE = 0.02
const GIB = 2 ** 30

/** Free space of the store's disk. */
export class SpaceWatch {
  readonly #alerts: AlertRaiser
  #level: 'enough' | 'low' | 'critical' = 'enough'

  constructor(alerts: AlertRaiser) {
    this.#alerts = alerts
  }

  look({ totalBytes, freeBytes }: { totalBytes: number; freeBytes: number }): void {
    if (totalBytes === 0) return
    const share = freeBytes / totalBytes
    const marginFor = (level: string): number => (this.#level === level ? SPACE_MARGIN_SHARE : 0)
    const isCritical = share < SPACE_CRITICAL_SHARE + marginFor('critical')
    const isLow = share < SPACE_LOW_SHARE + (this.#level === 'enough' ? 0 : SPACE_MARGIN_SHARE)
    const level = isCritical ? 'critical' : isLow ? 'low' : 'enough'
    if (level === this.#level && level !== 'enough') return
    this.#level = level
    const freeText = `${(freeBytes / GIB).toFixed(1)} GiB (${(share * 100).toFixed(1)} %) were free`
    const text = `${freeText} on the disk of the store.`
    if (level === 'critical') this.#alerts.raise('SPACE_CRITICAL', text)
    else this.#alerts.clear('SPACE_CRITICAL')
    if (level === 'low') this.#alerts.raise('SPACE_LOW', text)
    else this.#alerts.clear('SPACE_LOW')
  }
}

/** Steps of a time service are smaller. */
const CLOCK_TOLERANCE_SECONDS = 60

/** The wall clock against the latest time that was ever seen. */
export class ClockWatch {
  readonly #alerts: AlertRaiser
  #latestSeconds: number

  /** @param latestSeconds the newest time on disk, or 0 */
  constructor(alerts: AlertRaiser, latestSeconds: number) {
    this.#alerts = alerts
    this.#latestSeconds = latestSeconds
  }

  look(nowSeconds: number): void {
    if (nowSeconds >= this.#latestSeconds) {
      this.#latestSeconds = nowSeconds
      this.#alerts.clear('CLOCK_JUMPED_BACK')
    } else if (nowSeconds < this.#latestSeconds - CLOCK_TOLERANCE_SECONDS) {
      const latest = new Date(this.#latestSeconds * 1000).toISOString()
      const text = `It was ${latest} already. Times of files and schedules are wrong until then.`
      this.#alerts.raise('CLOCK_JUMPED_BACK', text)
    }
  }
}

const STALL_MS = 1000
const STALL_OVER_AFTER_MS = 10 * 60 * 1000

/** The event loop, which must never be held for long. */
export class StallWatch {
  readonly #alerts: AlertRaiser
  #lastStallMs = Number.NEGATIVE_INFINITY

  constructor(alerts: AlertRaiser) {
    this.#alerts = alerts
  }

  /** @param longestMs longest time since the last look in which nothing else ran */
  look(nowMs: number, longestMs: number): void {
    if (longestMs > STALL_MS) {
      this.#lastStallMs = nowMs
      const text = `For ${(longestMs / 1000).toFixed(1)} s the daemon answered nothing.`
      this.#alerts.raise('EVENT_LOOP_STALL', text)
    } else if (nowMs - this.#lastStallMs > STALL_OVER_AFTER_MS) {
      this.#alerts.clear('EVENT_LOOP_STALL')
    }
  }
}

const MASS_DELETE_SHARE = 0.5
/** Fewer files than that come and go all the time. */
const MASS_DELETE_FILES_MIN = 100
const HOUR_MS = 3_600_000
const SLOT_MS = 60_000

export interface ContainerCounts {
  readonly name: string
  readonly files: number
  /** since the daemon's start; only grows */
  readonly removedFiles: number
}

interface Removals {
  readonly sinceMs: number
  isRaised: boolean
  seenFiles: number
  slots: { startMs: number; files: number }[]
}

/** Files that vanish from a container within an hour: ransomware and mistaken scripts look like that. */
export class MassDeleteWatch {
  readonly #alerts: AlertRaiser
  readonly #share: number
  #containers = new Map<string, Removals>()

  constructor(alerts: AlertRaiser, share = MASS_DELETE_SHARE) {
    this.#alerts = alerts
    this.#share = share
  }

  look(nowMs: number, containers: readonly ContainerCounts[]): void {
    const before = this.#containers
    this.#containers = new Map()
    for (const container of containers) {
      const removals = before.get(container.name) ?? {
        sinceMs: nowMs,
        isRaised: false,
        seenFiles: 0,
        slots: [],
      }
      this.#containers.set(container.name, removals)
      this.#judge(container, removals, nowMs)
    }
    for (const name of before.keys()) {
      if (!this.#containers.has(name)) this.#alerts.clear('MASS_DELETE', name)
    }
  }

  #judge(container: ContainerCounts, removals: Removals, nowMs: number): void {
    const { name, files, removedFiles } = container
    const removed = removedWithinHour(removals, nowMs, removedFiles)
    const all = files + removed
    if (removed >= MASS_DELETE_FILES_MIN && removed / all >= this.#share) {
      const percent = Math.floor((removed / all) * 100)
      const text = `${removed} of ${all} files (${percent} %) of container ${name} were deleted within an hour.`
      removals.isRaised = true
      this.#alerts.raise('MASS_DELETE', text, name)
      return
    }
    // An alert of an earlier run of the daemon stands for an hour: this run doesn't know what that one counted.
    if (removals.isRaised || nowMs - removals.sinceMs >= HOUR_MS) {
      removals.isRaised = false
      this.#alerts.clear('MASS_DELETE', name)
    }
  }
}

function removedWithinHour(removals: Removals, nowMs: number, removedFiles: number): number {
  // Smaller than before: the container was deleted and made again.
  const added = Math.max(0, removedFiles - removals.seenFiles)
  removals.seenFiles = removedFiles
  const slot = removals.slots.at(-1)
  if (added > 0) {
    if (slot !== undefined && nowMs - slot.startMs < SLOT_MS) slot.files += added
    else removals.slots.push({ startMs: nowMs, files: added })
  }
  removals.slots = removals.slots.filter(({ startMs }) => nowMs - startMs < HOUR_MS)
  return removals.slots.reduce((sum, { files }) => sum + files, 0)
}
