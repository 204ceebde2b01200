// Whether the metadata database can be trusted: its files are verified after a start, as new tables appear, before each
// pass of the cleaner and in each scan. While anything is damaged, or nothing has been verified yet, nothing is deleted.

import type { AlertBoard } from '../alerts/index.ts'
import { StoreError } from '../errors.ts'
import { reportInternalError } from '../internal-errors.ts'
import type { MetadataStore } from '../metadata/index.ts'

/** Of findings, in an alert's text; the scan lists all of them. */
const NAMED_MAX = 3

export interface MetadataHealthOptions {
  readonly metadata: Pick<MetadataStore, 'verify' | 'damage' | 'monitor' | 'sequence'>
  readonly alerts: Pick<AlertBoard, 'raise' | 'clear' | 'isRaised'>
  readonly storePath: string
}

export class MetadataHealth {
  readonly #options: MetadataHealthOptions
  #isVerified = false
  /** the commit after which new tables were looked for */
  #seenSequence = -1

  constructor(options: MetadataHealthOptions) {
    this.#options = options
  }

  /** Why the metadata proves nothing now; undefined when all is well. */
  get trouble(): string | undefined {
    const { metadata, alerts } = this.#options
    if (metadata.damage.length > 0 || alerts.isRaised('METADATA_DAMAGED')) {
      return 'the metadata database is damaged.'
    }
    return this.#isVerified ? undefined : 'the metadata database has not been verified yet.'
  }

  /** Verifies all files of the database. @throws StoreError METADATA_DAMAGED */
  async verify(): Promise<void> {
    const findings = (await this.findings(false)).map(({ file, what }) => `${file}: ${what}`)
    if (findings.length > 0) {
      throw new StoreError(
        'METADATA_DAMAGED',
        `The metadata database is damaged: ${inWords(findings)}.`,
      )
    }
    // Damage that a read has met is damage, whatever the files say now.
    if (this.#options.metadata.damage.length === 0) this.#options.alerts.clear('METADATA_DAMAGED')
    this.#isVerified = true
  }

  /** The same beside the work that goes on; what is found is an alert. */
  verifyBeside(): void {
    this.verify().catch((error: unknown) => {
      if (!isStopped(error)) reportInternalError('verifying the metadata', error)
    })
  }

  /** The same for a scan, which tells of each. @param fromDisk past the page cache */
  async findings(fromDisk: boolean) {
    return await this.#options.metadata.verify({ fromDisk })
  }

  /** Verifies tables that have appeared since the last call. Called regularly. */
  async look(): Promise<void> {
    const { metadata } = this.#options
    if (metadata.sequence === this.#seenSequence) return
    this.#seenSequence = metadata.sequence
    try {
      await metadata.monitor.look()
    } catch (error) {
      if (!isStopped(error)) throw error
    }
  }

  /** Something of the database was found damaged, by a verification or by a read. */
  found(file: string, what: string): void {
    const { alerts, storePath } = this.#options
    const remedy = `See what "coffer recover --store ${storePath} --dry-run" can bring back.`
    // What a read has met says so already.
    alerts.raise(
      'METADATA_DAMAGED',
      what.includes('coffer recover') ? what : `${file}: ${what}. ${remedy}`,
    )
  }
}

/** The database is being closed. */
function isStopped(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}

function inWords(findings: readonly string[]): string {
  const named = findings.slice(0, NAMED_MAX).join('; ')
  return findings.length <= NAMED_MAX ? named : `${named}; and ${findings.length - NAMED_MAX} more`
}
