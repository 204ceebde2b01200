// Long work that runs in the daemon, as administrators see it: what runs, how far it is, how the latest ended. Nothing
// here outlives the daemon; what has to is an event or an alert. Telling never disturbs the work: `report` only
// remembers, and whoever watches comes to look.

import { CofferError } from '../errors.ts'
import { reportInternalError } from '../internal-errors.ts'
import { phaseEtaSeconds } from './job-eta.ts'

/** Ended jobs that are remembered. */
export const ENDED_JOBS_MAX = 20

/** A job's words are shown on one line or two. */
const TEXT_CHARACTERS_MAX = 2000

export interface JobReport {
  /** what is done now, a word or two; a change of it begins a new phase with a rate of its own */
  readonly phase: string
  readonly doneBytes: number
  /** 0 when nobody knows */
  readonly totalBytes: number
  readonly text?: string
}

export interface JobProgress {
  readonly phase: string
  readonly doneBytes: number
  readonly totalBytes: number
  readonly etaSeconds: number | null
  readonly text: string | null
}

export type JobEnd =
  | { readonly state: 'finished'; readonly text: string }
  | { readonly state: 'failed'; readonly code: string; readonly message: string }

/** A job as its own work sees it. */
export interface Job {
  readonly id: number
  report(report: JobReport): void
  /** The first end counts; whatever is said after it is ignored. */
  finish(text: string): void
  fail(error: unknown): void
}

/** A job as others see it, at this moment. */
export interface JobView {
  readonly id: number
  readonly kind: string
  readonly title: string
  readonly startedSeconds: number
  /** undefined while it runs, and so is `end` */
  readonly endedSeconds: number | undefined
  readonly end: JobEnd | undefined
  /** how often it reported; tells whether there is something new */
  readonly reports: number
  /** undefined before the first report */
  readonly progress: JobProgress | undefined
}

/** A job as those see it who look again and again. */
export interface WatchedJob {
  view(): JobView
  /**
   * Have `ended` called once when the job ends, at once if it has.
   * @returns ends the interest
   */
  whenEnded(ended: (end: JobEnd) => void): () => void
}

export class JobBoard {
  readonly #nowSeconds: () => number
  /** running ones, and the latest that ended, in the order of their ids */
  readonly #jobs = new Map<number, BoardJob>()
  /** ids, oldest end first */
  readonly #ended: number[] = []
  #lastId = 0

  constructor(nowSeconds: () => number) {
    this.#nowSeconds = nowSeconds
  }

  /**
   * Put a job on the board; whoever does ends it by `finish` or `fail`.
   * @param kind stable, as the command that starts it: programs tell jobs apart by it
   * @param title for people: what it does and to what
   */
  begin(kind: string, title: string): Job {
    const id = (this.#lastId += 1)
    const job = new BoardJob(id, kind, bounded(title), this.#nowSeconds, () => this.#retire(id))
    this.#jobs.set(id, job)
    return job
  }

  list(): JobView[] {
    return [...this.#jobs.values()].map(job => job.view())
  }

  /** @throws JOB_NOT_FOUND, also for one that ended long ago */
  get(id: number): WatchedJob {
    const job = this.#jobs.get(id)
    if (job === undefined) {
      const text = `There is no job ${id}; "coffer jobs show" lists those that run and the latest that ended.`
      throw new CofferError('JOB_NOT_FOUND', text)
    }
    return job
  }

  #retire(id: number): void {
    this.#ended.push(id)
    if (this.#ended.length <= ENDED_JOBS_MAX) return
    const oldest = this.#ended.shift()
    if (oldest !== undefined) this.#jobs.delete(oldest)
  }
}

class BoardJob implements Job, WatchedJob {
  readonly id: number
  readonly #kind: string
  readonly #title: string
  readonly #nowSeconds: () => number
  readonly #retire: () => void
  readonly #startedSeconds: number
  readonly #waiting = new Set<(end: JobEnd) => void>()
  #latest: JobReport | undefined
  #reports = 0
  #phaseSeconds = 0
  #phaseFirstBytes = 0
  #endedSeconds: number | undefined
  #end: JobEnd | undefined

  constructor(
    id: number,
    kind: string,
    title: string,
    nowSeconds: () => number,
    retire: () => void,
  ) {
    this.id = id
    this.#kind = kind
    this.#title = title
    this.#nowSeconds = nowSeconds
    this.#retire = retire
    this.#startedSeconds = nowSeconds()
  }

  report(report: JobReport): void {
    if (this.#end !== undefined) return
    if (this.#latest?.phase !== report.phase) {
      this.#phaseSeconds = this.#nowSeconds()
      this.#phaseFirstBytes = wholeBytes(report.doneBytes)
    }
    // a copy: the work may well keep one object and change it
    this.#latest = { ...report }
    this.#reports += 1
  }

  finish(text: string): void {
    this.#conclude({ state: 'finished', text: bounded(text) })
  }

  fail(error: unknown): void {
    reportInternalError(`job ${this.id} (${this.#kind})`, error)
    this.#conclude(wordFailure(error))
  }

  view(): JobView {
    return {
      id: this.id,
      kind: this.#kind,
      title: this.#title,
      startedSeconds: this.#startedSeconds,
      endedSeconds: this.#endedSeconds,
      end: this.#end,
      reports: this.#reports,
      progress: this.#latest === undefined ? undefined : this.#progress(this.#latest),
    }
  }

  whenEnded(ended: (end: JobEnd) => void): () => void {
    if (this.#end === undefined) this.#waiting.add(ended)
    else ended(this.#end)
    return () => this.#waiting.delete(ended)
  }

  #progress(latest: JobReport): JobProgress {
    const doneBytes = wholeBytes(latest.doneBytes)
    const totalBytes = wholeBytes(latest.totalBytes)
    const etaSeconds = phaseEtaSeconds({
      elapsedSeconds: this.#nowSeconds() - this.#phaseSeconds,
      firstBytes: this.#phaseFirstBytes,
      doneBytes,
      totalBytes,
    })
    return {
      phase: bounded(latest.phase),
      doneBytes,
      totalBytes,
      // what has ended takes no longer, however far it came
      etaSeconds: this.#end === undefined ? etaSeconds : null,
      text: latest.text === undefined ? null : bounded(latest.text),
    }
  }

  #conclude(end: JobEnd): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#endedSeconds = this.#nowSeconds()
    this.#retire()
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const ended of waiting) ended(end)
  }
}

/** Estimates may be fractions, or start below nothing; that is no reason to let the work fail. */
function wholeBytes(bytes: number): number {
  if (!Number.isFinite(bytes)) return 0
  return Math.min(Math.max(0, Math.round(bytes)), Number.MAX_SAFE_INTEGER)
}

function bounded(text: string): string {
  return text.slice(0, TEXT_CHARACTERS_MAX)
}

/** As the control edge words errors: what was not foreseen stays in the log. */
function wordFailure(error: unknown): JobEnd {
  if (error instanceof CofferError) {
    return { state: 'failed', code: error.code, message: bounded(error.message) }
  }
  const message = "An internal error ended the job; the daemon's log has the details."
  return { state: 'failed', code: 'INTERNAL', message }
}
