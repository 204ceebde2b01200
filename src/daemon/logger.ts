// The daemon's log: one line of JSON a message on standard error; below systemd with the priority that its journal reads.

import { pino } from 'pino'
import type { CofferEvent, Severity } from '../alerts/index.ts'
import type { LogLevel } from './contract.ts'
import { LineQuota } from './line-quota.ts'

/** syslog's priorities, which the journal takes from a `<N>` in front of a line. */
const PRIORITIES: Readonly<Record<string, number>> = {
  fatal: 2,
  error: 3,
  warn: 4,
  info: 6,
  debug: 7,
}
const LEVELS: Readonly<Record<Severity, LogLevel>> = {
  critical: 'error',
  warning: 'warn',
  info: 'info',
}
/** A reader that stands still costs lines of the log, and nothing else. */
const UNWRITTEN_BYTES_MAX = 1024 * 1024
/** Of an error's stack with its causes: some 40 calls each. */
const STACK_CHARACTERS_MAX = 8000
const CAUSES_MAX = 4

export interface Logger {
  event(event: CofferEvent): void
  /** One line with the stack; lines of one place are limited. */
  internalError(where: string, error: unknown): void
  /** The process ends right after: the line is written before this returns. */
  fatal(where: string, error: unknown): void
}

/** A stream for pino that puts the journal's priority in front of each line. */
export function journalStream(write: (line: string) => void): {
  write(line: string): void
  lastLevel: number
} {
  return {
    // pino tells the level here when it finds the symbol below.
    lastLevel: 0,
    write(line: string): void {
      const label = pino.levels.labels[this.lastLevel] ?? 'info'
      write(`<${PRIORITIES[label] ?? PRIORITIES['info']}>${line}`)
    },
    [Symbol.for('pino.metadata')]: true,
  }
}

/**
 * The message and where it was made, also of its causes. Other properties stay out of the log: libraries put what they
 * were working on into them.
 */
export function stackOf(error: unknown): string {
  const stacks: string[] = []
  let at = error
  while (stacks.length < CAUSES_MAX && at !== undefined && at !== null) {
    stacks.push(
      at instanceof Error ? (at.stack ?? `${at.name}: ${at.message}`) : `thrown ${typeof at}`,
    )
    at = at instanceof Error ? at.cause : undefined
  }
  return stacks.join('\ncaused by ').slice(0, STACK_CHARACTERS_MAX)
}

/** @param env JOURNAL_STREAM in it says that systemd's journal reads standard error */
export function createLogger(
  level: LogLevel,
  env: Readonly<Record<string, string | undefined>>,
): Logger {
  const stderr = pino.destination({ fd: 2, sync: false, maxLength: UNWRITTEN_BYTES_MAX })
  // A log that can't be written (its disk is full) must not end the daemon.
  stderr.on('error', () => undefined)
  const isJournal = (env['JOURNAL_STREAM'] ?? '') !== ''
  const log = pino(
    {
      level,
      base: null,
      timestamp: isJournal ? false : pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
    },
    isJournal ? journalStream(line => void stderr.write(line)) : stderr,
  )
  const quota = new LineQuota()
  const write = (where: string, error: unknown, omitted: number): void => {
    const reason = error instanceof Error ? error.message : `a thrown ${typeof error}`
    const line = {
      code: 'INTERNAL_ERROR',
      where,
      stack: stackOf(error),
      ...(omitted > 0 && { omitted }),
    }
    log.error(line, `Internal error in ${where}: ${reason}`)
  }
  return {
    event: ({ index, code, severity, text }) => log[LEVELS[severity]]({ code, event: index }, text),
    internalError(where, error) {
      const omitted = quota.take(where, performance.now())
      if (omitted !== undefined) write(where, error, omitted)
    },
    fatal(where, error) {
      write(where, error, 0)
      try {
        stderr.flushSync()
      } catch {
        // The log can't be written; the process ends all the same.
      }
    },
  }
}

/** Uncaught exceptions and unhandled rejections: they end the process, as ever, and the log has their stack. */
export function logFatalErrors(logger: Logger): void {
  process.on('uncaughtExceptionMonitor', (error, origin) => logger.fatal(origin, error))
}
