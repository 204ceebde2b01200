// What the verification of LevelDB's files works with and tells.

/** One thing that is wrong with a database's files. */
export interface Finding {
  /** name within the database's directory */
  readonly file: string
  /** what is wrong, without a full stop */
  readonly what: string
  /** user keys around the records that may be missing or wrong, both inclusive; absent where all may be */
  readonly from?: Uint8Array
  readonly to?: Uint8Array
  /** the file's last record is incomplete, as after a power cut; a live database has none */
  readonly isTornEnd?: true
}

/** A table as the manifest has it. */
export interface TableRecord {
  readonly number: number
  readonly level: number
  readonly bytes: number
  /** internal keys: a user key and eight bytes */
  readonly smallest: Uint8Array
  readonly largest: Uint8Array
}

/** The state of a database that a manifest's edits add up to. */
export interface Version {
  readonly tables: ReadonlyMap<number, TableRecord>
  /** logs from this number on hold records that no table has */
  readonly logNumber: number
  readonly previousLogNumber: number
  readonly nextFileNumber: number
  readonly lastSequence: number
}

export interface VerifyOptions {
  /** read tables past the page cache; default: false */
  readonly fromDisk?: boolean
  readonly signal?: AbortSignal
  /** told after each table */
  readonly progress?: (doneBytes: number, totalBytes: number) => void
}
