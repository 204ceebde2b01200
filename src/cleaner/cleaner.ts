// The cleaner in operation: starts passes when it is asked to or when it is time, one at a time, and says how they went.

import { EvidenceError } from '../deletion-proof.ts'
import { CofferError } from '../errors.ts'
import { reportInternalError } from '../internal-errors.ts'
import type { PassParts } from './contract.ts'
import { Pace, PassStopped } from './pace.ts'
import { Pass } from './pass.ts'
import type { Incomplete, PassPhase } from './pass.ts'
import { noCounts } from './pass-counts.ts'
import type { PassBook, PassKind, PassReport } from './pass-book.ts'
import type { Plan } from './plan.ts'
import { Triggers } from './triggers.ts'

const DEBT_SECONDS = 7 * 24 * 3600

/** What passes may have to say. */
export type CleanerAlertCode = 'CLEANING_DEBT' | 'PASS_FAILED' | 'EVIDENCE_DISAGREES'

export interface CleanerOptions extends PassParts {
  readonly book: PassBook
  readonly nowSeconds: () => number
  /** what clients have read and written so far */
  readonly clientBytes: () => { readonly read: number; readonly written: number }
  /** a weekly window is open */
  readonly isWindowOpen: (nowSeconds: number) => boolean
  /** clients are about to get ENOSPC */
  readonly isSpaceLow: () => boolean
  /** the administrator wants no pass that nobody asked for */
  readonly isHeld: () => boolean
  /** some closed block file is not sealed as its group wants it */
  readonly hasStaleBlocks: () => boolean
  readonly alerts: {
    raise(code: CleanerAlertCode, text: string): void
    clear(code: CleanerAlertCode): void
  }
  readonly begun: (pass: PassReport) => void
  readonly ended: (pass: PassReport) => void
}

export interface PassProgress {
  readonly phase: PassPhase
  readonly doneBytes: number
  readonly totalBytes: number
}

interface RunningPass {
  report: PassReport
  progress: PassProgress
  readonly pace: Pace
  readonly pass: Pass
  readonly done: Promise<PassReport>
}

const WHY: Readonly<Record<Incomplete, string>> = {
  NO_ROOM: 'There is no room on the disk for copying.',
  DAMAGE: 'Damaged block files were left as they are.',
  LOCKED: 'A storage group was locked meanwhile.',
}

export class Cleaner {
  readonly #options: CleanerOptions
  #running: RunningPass | undefined
  #dryRun: Promise<Plan> | undefined
  #exclusive: { readonly pace: Pace; readonly done: Promise<unknown> } | undefined
  readonly #triggers: Triggers
  /** what the extents had lost when the last full pass began; -1 = not known, so there may be something */
  #cleanCount = -1
  #isClosed = false

  constructor(options: CleanerOptions) {
    this.#options = options
    const { isWindowOpen, isSpaceLow, isHeld } = options
    const hasWork = (): boolean =>
      options.extents.droppedCount !== this.#cleanCount || options.hasStaleBlocks()
    this.#triggers = new Triggers(
      { isWindowOpen, isSpaceLow, isHeld, hasWork },
      options.nowSeconds(),
    )
  }

  get running(): { report: PassReport; progress: PassProgress } | undefined {
    if (this.#running === undefined) return undefined
    const { report, progress, pass } = this.#running
    return { report: { ...report, counts: { ...pass.counts } }, progress }
  }

  get passes(): readonly PassReport[] {
    return this.#options.book.passes
  }

  get lastFullSeconds(): number {
    return this.#options.book.lastFullSeconds
  }

  get debtSinceSeconds(): number {
    return this.#options.book.debtSinceSeconds
  }

  /**
   * Begins a pass.
   * @param group only this storage group; all without it
   * @param told how far the pass is, whenever that changes
   * @returns its report, and a promise of the one that it ends with, which never rejects
   * @throws CofferError CLEANER_BUSY
   */
  start(
    kind: PassKind,
    group?: number,
    told?: (progress: PassProgress) => void,
  ): { report: PassReport; done: Promise<PassReport> } {
    this.checkFree()
    const { book, extents, metadata } = this.#options
    const report = book.begin({
      kind,
      group: group ?? null,
      startedSeconds: this.#options.nowSeconds(),
      endedSeconds: null,
      outcome: 'running',
      text: '',
      plannedBytes: 0,
      counts: noCounts(),
    })
    metadata.touched()
    const pace = this.#pace(kind)
    const pass = this.#pass(pace, group, kind === 'manual' || kind === 'forced', told)
    const droppedCount = extents.droppedCount
    const done = Promise.resolve().then(() => this.#run(pass, droppedCount))
    this.#running = {
      report,
      progress: { phase: 'mark', doneBytes: 0, totalBytes: 0 },
      pace,
      pass,
      done,
    }
    this.#options.begun(report)
    return { report, done }
  }

  /** What a manual pass would do now. @throws CofferError CLEANER_BUSY */
  async plan(group?: number): Promise<Plan> {
    this.checkFree()
    this.#dryRun = this.#pass(this.#pace('manual'), group, true).dryRun()
    try {
      return await this.#dryRun
    } finally {
      this.#dryRun = undefined
    }
  }

  /**
   * Work that relies on block files staying where they are: no pass runs beside it. It is stopped through its pace when
   * the daemon ends, or when a pass has to make room for clients.
   * @throws CofferError CLEANER_BUSY; PassStopped, and what the work throws
   */
  async exclusively<Result>(work: (pace: Pace) => Promise<Result>): Promise<Result> {
    this.checkFree()
    const pace = this.#pace('manual')
    const done = Promise.resolve().then(() => work(pace))
    this.#exclusive = { pace, done: done.catch(() => undefined) }
    try {
      return await done
    } finally {
      this.#exclusive = undefined
    }
  }

  /** What is half-way is finished first. @returns the report of the pass, undefined when there was none */
  async stop(): Promise<PassReport | undefined> {
    this.#running?.pace.stop()
    return this.#running?.done
  }

  /** No pass begins any more. What runs is told to stop, and counts as interrupted: it goes on after the next start. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#exclusive?.pace.stop()
    await this.#exclusive?.done
    await this.#dryRun?.catch(() => undefined)
    await this.stop()
  }

  /** Called regularly: begins and ends passes that nobody has to ask for. */
  tick(): void {
    const { nowSeconds, clientBytes, isWindowOpen } = this.#options
    const now = nowSeconds()
    this.#triggers.seen(now, clientBytes().written)
    this.#lookAtDebt(now)
    if (this.#running !== undefined) {
      const { report, pace } = this.#running
      if (report.kind === 'scheduled' && !isWindowOpen(now)) pace.stop()
      return
    }
    if (this.#exclusive !== undefined) {
      if (this.#triggers.due(now) === 'forced') this.#exclusive.pace.stop()
      return
    }
    if (this.#dryRun !== undefined || this.#isClosed || this.#resume(now)) return
    const kind = this.#triggers.due(now)
    if (kind !== undefined) this.start(kind)
  }

  /** A pass that a restart interrupted goes on when somebody, or the lack of space, had asked for it. */
  #resume(now: number): boolean {
    const { book } = this.#options
    const interrupted = book.current
    if (interrupted === undefined) return false
    book.end({ ...interrupted, endedSeconds: now, outcome: 'stopped' }, false)
    const { kind, group } = interrupted
    if (kind === 'manual' && this.#options.isHeld()) return false
    if (kind !== 'manual' && kind !== 'forced') return false
    this.start(kind, group ?? undefined)
    return true
  }

  /** @throws CofferError CLEANER_BUSY when something runs that no pass may run beside */
  checkFree(): void {
    if (this.#running !== undefined || this.#dryRun !== undefined || this.#isClosed) {
      const text = 'The cleaner is running; see "coffer stats cleaner".'
      throw new CofferError('CLEANER_BUSY', text)
    }
    if (this.#exclusive !== undefined) {
      const text = 'The chunk index is being rebuilt; see "coffer jobs show".'
      throw new CofferError('CLEANER_BUSY', text)
    }
  }

  #lookAtDebt(now: number): void {
    const { book, alerts, metadata } = this.#options
    if (book.debtSinceSeconds === 0 && this.#triggers.hasWork(now)) {
      book.owe(now)
      metadata.touched()
    }
    const since = book.debtSinceSeconds
    if (since === 0 || now - since < DEBT_SECONDS) {
      alerts.clear('CLEANING_DEBT')
      return
    }
    const text = `No full pass has completed since ${new Date(since * 1000).toISOString()}, and there is something to clean.`
    alerts.raise('CLEANING_DEBT', text)
  }

  #pace(kind: PassKind): Pace {
    const { clientBytes, nowSeconds } = this.#options
    return new Pace({
      clientBytes: () => {
        const { read, written } = clientBytes()
        return read + written
      },
      isUrgent: kind === 'forced',
      mayGoOn: () => kind !== 'idle' || this.#triggers.isIdle(nowSeconds()),
    })
  }

  #pass(
    pace: Pace,
    group: number | undefined,
    closesFiles: boolean,
    told?: (progress: PassProgress) => void,
  ): Pass {
    return new Pass(this.#options, {
      ...(group !== undefined && { group }),
      closesFiles,
      pace,
      planned: async ({ reclaimableBytes }) => {
        if (this.#running === undefined) return
        // The plan stands on a listing that was proved to be whole.
        this.#options.alerts.clear('EVIDENCE_DISAGREES')
        const report = { ...this.#running.report, plannedBytes: reclaimableBytes }
        this.#running.report = report
        this.#options.book.update(report)
        await this.#options.metadata.commit()
      },
      progress: (phase, doneBytes, totalBytes) => {
        if (this.#running === undefined) return
        this.#running.progress = { phase, doneBytes, totalBytes }
        told?.(this.#running.progress)
      },
    })
  }

  async #run(pass: Pass, droppedCount: number): Promise<PassReport> {
    let outcome: PassReport['outcome'] = 'complete'
    let text = ''
    try {
      const undone = await pass.run()
      if (undone.size > 0) outcome = 'incomplete'
      text = [...undone].map(each => WHY[each]).join(' ')
      this.#options.alerts.clear('PASS_FAILED')
    } catch (error) {
      outcome = error instanceof PassStopped ? 'stopped' : 'failed'
      text = error instanceof Error ? error.message : String(error)
      if (error instanceof EvidenceError) this.#options.alerts.raise('EVIDENCE_DISAGREES', text)
      if (outcome === 'failed') this.#options.alerts.raise('PASS_FAILED', text)
      if (outcome === 'failed') reportInternalError('a pass of the cleaner', error)
    }
    return this.#end(pass, outcome, text, droppedCount)
  }

  #end(pass: Pass, outcome: PassReport['outcome'], text: string, droppedCount: number): PassReport {
    const { book, metadata, nowSeconds, ended } = this.#options
    const running = this.#running
    if (running === undefined) throw new Error('a pass ended that was not running')
    const endedSeconds = nowSeconds()
    const counts = { ...pass.counts }
    const report = { ...running.report, endedSeconds, outcome, text: text.slice(0, 1000), counts }
    const isFull = outcome === 'complete' && report.group === null
    if (isFull) this.#cleanCount = droppedCount
    this.#triggers.ended(report)
    // A shutdown interrupts a pass; what is still written down as running goes on after the next start.
    if (this.#isClosed && outcome === 'stopped') book.update({ ...running.report, counts })
    else book.end(report, isFull)
    this.#running = undefined
    metadata.touched()
    ended(report)
    return report
  }
}
