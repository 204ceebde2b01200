// Shows how far a job is until it ends: a bar on a terminal, a line now and then elsewhere. Both go to stderr, since
// stdout holds results only.

import type { SingleBar } from 'cli-progress'

import type { ControlClient } from '../control/client.ts'
import type { JobEnd, JobProgress } from '../control/methods.ts'
import { CofferError } from '../errors.ts'
import { print } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { formatDuration, printable, printableLines } from './format.ts'
import type { CliIo } from './io.ts'
import { formatSize } from './sizes.ts'

/** A log of a night's work should not be a thousand lines. */
const LINE_INTERVAL_MS = 5000
/** As often as the daemon tells something new. */
const BAR_FRAMES_PER_SECOND = 4
const BAR_CHARACTERS = 30

interface Display {
  show(progress: JobProgress): void
  /** Leaves the terminal as it was; nothing is shown after it. */
  stop(): void
}

/**
 * Show a job's progress until it ends, then print what came of it.
 * @throws CofferError with the job's own code when it failed
 */
export async function watchJob(
  io: CliIo,
  argv: GlobalArgs,
  client: ControlClient,
  id: number,
): Promise<void> {
  const end = await followJob(io, argv, client, id)
  print(io, argv, end, () => (end.state === 'finished' ? `${printableLines(end.text)}\n` : ''))
  if (end.state === 'failed') throw new CofferError(end.code, end.message)
}

/** Show a job's progress until it ends, and nothing of how it ended. */
export async function followJob(
  io: CliIo,
  argv: GlobalArgs,
  client: ControlClient,
  id: number,
): Promise<JobEnd> {
  const display = argv.json ? undefined : await openDisplay(io)
  const watching = client.watch(id, progress => display?.show(progress))
  return watching.finally(() => display?.stop())
}

async function openDisplay(io: CliIo): Promise<Display> {
  if (io.terminal === undefined) return new Lines(io)
  // Loaded here, since most commands have nothing to wait for.
  const { default: progress } = await import('cli-progress')
  return new Bars(progress.SingleBar, io.terminal)
}

class Lines implements Display {
  readonly #io: CliIo
  #phase: string | undefined
  #shownAtMs = 0

  constructor(io: CliIo) {
    this.#io = io
  }

  show(progress: JobProgress): void {
    const nowMs = performance.now()
    const isNews = progress.phase !== this.#phase
    if (!isNews && nowMs - this.#shownAtMs < LINE_INTERVAL_MS) return
    this.#phase = progress.phase
    this.#shownAtMs = nowMs
    this.#io.err(`${printable(progress.phase)}: ${describeProgress(progress)}\n`)
  }

  stop(): void {}
}

/** One bar a phase; those of earlier phases stay above it. */
class Bars implements Display {
  readonly #Bar: typeof SingleBar
  readonly #terminal: NodeJS.WritableStream
  #bar: SingleBar | undefined
  #phase: string | undefined

  constructor(Bar: typeof SingleBar, terminal: NodeJS.WritableStream) {
    this.#Bar = Bar
    this.#terminal = terminal
  }

  show(progress: JobProgress): void {
    const { phase, doneBytes, totalBytes } = progress
    const words = { phase: printable(phase), amounts: describeProgress(progress) }
    if (this.#bar !== undefined && phase === this.#phase) {
      this.#bar.setTotal(totalBytes)
      this.#bar.update(doneBytes, words)
      return
    }
    this.#bar?.stop()
    this.#phase = phase
    this.#bar = new this.#Bar({
      stream: this.#terminal,
      format: '{phase} [{bar}] {amounts}',
      barsize: BAR_CHARACTERS,
      fps: BAR_FRAMES_PER_SECOND,
      emptyOnZero: true,
      // Cuts lines that are too long itself, so that Ctrl-C leaves no terminal behind that doesn't wrap.
      linewrap: true,
    })
    this.#bar.start(totalBytes, doneBytes, words)
  }

  stop(): void {
    this.#bar?.stop()
  }
}

/** `12.00 MiB of 40.00 MiB (30 %), 2m 03s left, block 7` */
export function describeProgress(progress: Omit<JobProgress, 'id'>): string {
  const { doneBytes, totalBytes, etaSeconds, text } = progress
  const parts = [formatSize(doneBytes)]
  if (totalBytes > 0) {
    const percent = Math.min(100, Math.floor((doneBytes / totalBytes) * 100))
    parts[0] = `${formatSize(doneBytes)} of ${formatSize(totalBytes)} (${percent} %)`
  }
  if (etaSeconds !== null) parts.push(`${formatDuration(etaSeconds)} left`)
  if (text !== null) parts.push(printable(text))
  return parts.join(', ')
}
