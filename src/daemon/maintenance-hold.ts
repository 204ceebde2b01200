// The administrator's hold on deletion: no pass of the cleaner begins by itself, and no file of the trash is deleted for its age.
// Room that clients are about to lack is still made. The alert that says so is what is remembered over restarts.

import type { AlertBoard } from '../alerts/index.ts'
import type { Cleaner } from '../cleaner/index.ts'

const TEXT =
  'No pass of the cleaner begins by itself, and no file of the trash is deleted for its age.'

/** What the control socket says of a hold. */
export interface HoldState {
  readonly isHeld: boolean
  /** in seconds since 1970; undefined without a hold */
  readonly sinceSeconds: number | undefined
}

export class MaintenanceHold {
  readonly #alerts: Pick<AlertBoard, 'raise' | 'clear' | 'isRaised' | 'ofCode'>

  constructor(alerts: Pick<AlertBoard, 'raise' | 'clear' | 'isRaised' | 'ofCode'>) {
    this.#alerts = alerts
  }

  get isHeld(): boolean {
    return this.#alerts.isRaised('MAINTENANCE_HELD')
  }

  get state(): HoldState {
    const [alert] = this.#alerts.ofCode('MAINTENANCE_HELD')
    return { isHeld: alert !== undefined, sinceSeconds: alert?.sinceSeconds }
  }

  /** Begins the hold; a pass that nobody asked for ends first. */
  async begin(cleaner: Pick<Cleaner, 'running' | 'stop'>): Promise<void> {
    this.#alerts.raise('MAINTENANCE_HELD', TEXT)
    const kind = cleaner.running?.report.kind
    if (kind === 'idle' || kind === 'scheduled') await cleaner.stop()
  }

  end(): void {
    this.#alerts.clear('MAINTENANCE_HELD')
  }
}
