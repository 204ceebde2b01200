// Verifies the tables of a live database: new ones soon after they are written, all of them when asked. Keeps what it
// finds until the database is closed.

import type { Finding, VerifyOptions } from './contract.ts'
import { readVersion } from './read-version.ts'
import { verifyDatabase, verifyTables } from './verify-database.ts'

export interface TableMonitorOptions {
  /** directory of the database */
  readonly directory: string
  /** told once of each finding */
  readonly onDamage?: (finding: Finding) => void
}

export class TableMonitor {
  readonly #options: TableMonitorOptions
  readonly #stopped = new AbortController()
  readonly #damage = new Map<string, Finding>()
  /** tables that are verified, or were there at the first look; undefined before it */
  #known: Set<number> | undefined
  /** settles when the verification in progress and those behind it have ended */
  #queue: Promise<unknown> = Promise.resolve()
  /** verifications that have not begun, which later callers share */
  readonly #waiting = new Map<string, Promise<readonly Finding[]>>()

  constructor(options: TableMonitorOptions) {
    this.#options = options
  }

  /** Everything found so far, oldest first. */
  get damage(): readonly Finding[] {
    return [...this.#damage.values()]
  }

  /**
   * Verifies the tables that have appeared since the last look. The first look only notes which tables there are; those are
   * for verifyAll.
   * @returns what is new
   */
  look(): Promise<readonly Finding[]> {
    return this.#share('look', () => this.#look())
  }

  /**
   * Verifies CURRENT, manifest, logs and every table.
   * @returns everything that is wrong now
   */
  verifyAll(options: VerifyOptions = {}): Promise<readonly Finding[]> {
    const { fromDisk = false, signal, progress } = options
    const run = (): Promise<readonly Finding[]> => this.#verifyAll(options)
    // Somebody else's signal must not end it, nor can there be two receivers of progress.
    if (signal !== undefined || progress !== undefined) return this.#enqueue(run)
    return this.#share(fromDisk ? 'all from disk' : 'all', run)
  }

  /** Ends a verification in progress at its next table, and begins none. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#queue
  }

  #share(kind: string, run: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
    const waiting = this.#waiting.get(kind)
    if (waiting !== undefined) return waiting
    const promise = this.#enqueue(() => {
      this.#waiting.delete(kind)
      return run()
    })
    this.#waiting.set(kind, promise)
    return promise
  }

  #enqueue(run: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
    const promise = this.#queue.then(() => {
      this.#stopped.signal.throwIfAborted()
      return run()
    })
    this.#queue = promise.catch(() => {})
    return promise
  }

  async #look(): Promise<readonly Finding[]> {
    const { version, findings } = await readVersion(this.#options.directory)
    const fresh = [...findings]
    if (version !== undefined) {
      const tables = [...version.tables.values()]
      const known = this.#known
      const added = known === undefined ? [] : tables.filter(({ number }) => !known.has(number))
      const signal = this.#stopped.signal
      fresh.push(...(await verifyTables(this.#options.directory, added, { signal })))
      this.#known = new Set(version.tables.keys())
    }
    return this.#note(fresh)
  }

  async #verifyAll(options: VerifyOptions): Promise<readonly Finding[]> {
    const signals = [this.#stopped.signal, ...(options.signal ? [options.signal] : [])]
    const signal = AbortSignal.any(signals)
    const findings = await verifyDatabase(this.#options.directory, { ...options, signal })
    this.#note(findings)
    return findings
  }

  /** @returns those that were not known */
  #note(findings: readonly Finding[]): readonly Finding[] {
    const fresh: Finding[] = []
    for (const finding of findings) {
      const name = `${finding.file} ${finding.what}`
      if (this.#damage.has(name)) continue
      this.#damage.set(name, finding)
      fresh.push(finding)
    }
    for (const finding of fresh) this.#options.onDamage?.(finding)
    return fresh
  }
}
