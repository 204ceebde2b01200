// Makes appended bytes durable, one pass for as many callers as there are.

import { durablySync } from '../fault-points.ts'
import { syncBlockFile, syncDirectory } from '../native/data-path.ts'
import type { OpenBlockFile } from './open-block-file.ts'

export class Syncer {
  readonly #files = new Set<OpenBlockFile>()
  readonly #directories = new Set<string>()
  readonly #onSynced: (file: OpenBlockFile) => void
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(onSynced: (file: OpenBlockFile) => void) {
    this.#onSynced = onSynced
  }

  addFile(file: OpenBlockFile): void {
    this.#files.add(file)
  }

  addDirectory(path: string): void {
    this.#directories.add(path)
  }

  /** Whether the file has bytes that no finished or running pass covers. */
  has(file: OpenBlockFile): boolean {
    return this.#files.has(file)
  }

  /** Covers everything added before the call. A pass under way may have begun before it, so it takes the next one. */
  sync(): Promise<void> {
    if (this.#next) return this.#next
    if (!this.#running) return this.#start()
    this.#next = this.#running.then(
      () => this.#startNext(),
      () => this.#startNext(),
    )
    return this.#next
  }

  #startNext(): Promise<void> {
    this.#next = undefined
    return this.#start()
  }

  #start(): Promise<void> {
    const pass = this.#pass().finally(() => {
      if (this.#running === pass) this.#running = undefined
    })
    this.#running = pass
    return pass
  }

  async #pass(): Promise<void> {
    const files = [...this.#files]
    const directories = [...this.#directories]
    this.#files.clear()
    this.#directories.clear()
    await Promise.all([
      ...files.map(async file => {
        const handle = await file.handle
        await durablySync('block.sync', () => syncBlockFile(handle))
      }),
      ...directories.map(path => durablySync('block.directory-sync', () => syncDirectory(path))),
    ])
    for (const file of files) this.#onSynced(file)
  }
}
