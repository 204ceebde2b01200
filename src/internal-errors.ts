// Unforeseen errors, on their way to the log of the daemon. Every place that catches one hands it over here; the daemon
// says where they go. A failure of operation (CofferError) is none: its sentence reaches the administrator by itself.

import createDebug from 'debug'
import { CofferError } from './errors.ts'

const log = createDebug('coffer:internal')

/** @param where what was being done, e.g. the control method's name */
export type InternalErrorSink = (where: string, error: unknown) => void

let sink: InternalErrorSink = () => undefined

/** Sends internal errors there from now on. @returns puts the former one back */
export function setInternalErrorSink(next: InternalErrorSink): () => void {
  const former = sink
  sink = next
  return () => {
    sink = former
  }
}

/** Reports an internal error; a CofferError only with DEBUG. Never throws. */
export function reportInternalError(where: string, error: unknown): void {
  log('%s: %O', where, error)
  if (error instanceof CofferError) return
  try {
    sink(where, error)
  } catch (failure) {
    log('the report failed: %O', failure)
  }
}

/** A handler for rejections of work that no caller waits for. */
export function reporterOf(where: string): (error: unknown) => void {
  return error => reportInternalError(where, error)
}
