// The base of every error that coffer raises on purpose. A code is stable: programs branch on it,
// the FUSE edge maps it to an errno, the control edge hands it to clients in `data.code`.

/** A failure that can happen in operation, as opposed to a programmer's mistake (which is an AssertionError). */
export class CofferError extends Error {
  readonly code: string

  /**
   * @param code stable, SCREAMING_CASE, never reused for another meaning
   * @param message one sentence: what is wrong and, where it helps, what to do
   */
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
  }
}

/** The store is damaged, of an unknown version, or disagrees with itself. Never answered with other data. */
export class StoreError extends CofferError {}

/**
 * A filesystem operation's POSIX failure: `code` is the errno's name ('ENOENT', 'ENOSPC', ...).
 * Raised by vfs and stream, turned into a number by fuse alone.
 */
export class FilesystemError extends CofferError {
  constructor(code: string, message?: string, options?: ErrorOptions) {
    const depth = Error.stackTraceLimit
    // An errno alone is an everyday answer: `ls -l` gets ENODATA twice a file, and where it comes from would cost more than
    // all the rest of the request.
    if (message === undefined) Error.stackTraceLimit = 0
    try {
      super(code, message ?? code, options)
    } finally {
      Error.stackTraceLimit = depth
    }
  }
}

/** Whether there will be room again, and the same may work then. */
export function hasNoSpace(error: unknown): boolean {
  return error instanceof FilesystemError && error.code === 'ENOSPC'
}
