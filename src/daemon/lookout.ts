// Looks once a second at what may become an alert, and lets the mailer do what is due.

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { ClockWatch, MassDeleteWatch, SpaceWatch, StallWatch } from '../alerts/index.ts'
import { reporterOf, reportInternalError } from '../internal-errors.ts'
import type { Storage } from './storage.ts'

const INTERVAL_MS = 1000
const DELAY_RESOLUTION_MS = 20
const NANOSECONDS_PER_MS = 1e6

export class Lookout {
  readonly #storage: Storage
  readonly #nowSeconds: () => number
  readonly #delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })
  readonly #timer: NodeJS.Timeout
  readonly #space: SpaceWatch
  readonly #clock: ClockWatch
  readonly #stalls: StallWatch
  readonly #massDelete: MassDeleteWatch

  /** @param massDeleteShare of a container's files, within an hour; without it as the watch thinks fit */
  constructor(storage: Storage, nowSeconds: () => number, massDeleteShare?: number) {
    const { alerts, alerting } = storage
    this.#storage = storage
    this.#nowSeconds = nowSeconds
    this.#space = new SpaceWatch(alerts)
    this.#clock = new ClockWatch(alerts, alerting.lastSeconds)
    this.#stalls = new StallWatch(alerts)
    this.#massDelete = new MassDeleteWatch(alerts, massDeleteShare)
    this.#delay.enable()
    // An alert of the last run may be out of date.
    this.#space.look(storage.space)
    this.#timer = setInterval(() => {
      // A look that fails must not end the daemon: the timer has no caller.
      try {
        this.#look(performance.now())
      } catch (error) {
        reportInternalError('the regular checks', error)
      }
    }, INTERVAL_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#delay.disable()
  }

  #lookAtMetadata(): void {
    this.#storage.lookAtMetadata().catch(reporterOf('verifying new tables'))
  }

  #tickTrash(): void {
    this.#storage.tickTrash().catch(reporterOf('emptying the trash'))
  }

  #look(nowMs: number): void {
    const { vfs, space, alerting } = this.#storage
    this.#space.look(space)
    this.#clock.look(this.#nowSeconds())
    this.#stalls.look(nowMs, this.#delay.max / NANOSECONDS_PER_MS)
    this.#delay.reset()
    const counts = vfs.containers().map(({ id, name, fileCount }) => ({
      name,
      files: fileCount,
      removedFiles: vfs.removedFiles(id),
    }))
    this.#massDelete.look(nowMs, counts)
    this.#storage.reportQuotas()
    this.#storage.cleaner.tick()
    this.#tickTrash()
    this.#lookAtMetadata()
    this.#storage.scanner.tick()
    this.#storage.damage.tick(nowMs)
    alerting.mailer.tick(nowMs).catch(reporterOf('sending mail'))
  }
}
