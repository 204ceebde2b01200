// Beginnings of directories that were read before anybody has asked for them. One counts only as long as nothing in its
// directory has changed since its reading began.

import type { DentryWindow, InodeNumber } from './types.ts'

/** Of directories, a small window each: a megabyte or two in all. */
const WINDOWS_MAX = 32

interface Ahead {
  window: DentryWindow | undefined
  reading: Promise<DentryWindow | undefined>
}

export class WindowsAhead {
  readonly #windows = new Map<InodeNumber, Ahead>()

  has(directory: InodeNumber): boolean {
    return this.#windows.has(directory)
  }

  /** What can't be read is left to whoever lists the directory, and hears of it. */
  start(directory: InodeNumber, read: () => Promise<DentryWindow>): void {
    const ahead: Ahead = { window: undefined, reading: Promise.resolve(undefined) }
    this.#windows.set(directory, ahead)
    ahead.reading = read().then(
      window => {
        ahead.window = window
        return window
      },
      () => {
        if (this.#windows.get(directory) === ahead) this.#windows.delete(directory)
        return undefined
      },
    )
    if (this.#windows.size <= WINDOWS_MAX) return
    for (const oldest of this.#windows.keys()) {
      this.#windows.delete(oldest)
      return
    }
  }

  /** The window, which is forgotten here; undefined when there is none that still counts. */
  take(directory: InodeNumber): DentryWindow | Promise<DentryWindow | undefined> | undefined {
    const ahead = this.#windows.get(directory)
    if (ahead === undefined) return undefined
    if (ahead.window === undefined)
      return ahead.reading.then(() => this.#takeRead(directory, ahead))
    return this.#takeRead(directory, ahead)
  }

  changed(directory: InodeNumber): void {
    this.#windows.delete(directory)
  }

  /** Repairs mend records that nobody tells of here; and what was not wanted for so long won't be. */
  committed(): void {
    this.#windows.clear()
  }

  #takeRead(directory: InodeNumber, ahead: Ahead): DentryWindow | undefined {
    if (this.#windows.get(directory) !== ahead) return undefined
    this.#windows.delete(directory)
    return ahead.window
  }
}
