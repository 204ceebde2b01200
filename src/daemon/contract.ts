// What the command line asks of the daemon, and nothing else: how it is started, and how it ends.

import type { KeyRetirement } from '../cleaner/contract.ts'
import type { TransportName } from '../fuse/index.ts'

export { keyRetirements, type KeyRetirement } from '../cleaner/contract.ts'

/** The default first. */
export const transportNames = ['device', 'fuse-native'] as const satisfies readonly TransportName[]

export const logLevels = ['error', 'warn', 'info', 'debug'] as const
export type LogLevel = (typeof logLevels)[number]

/** Whether a store may be made: when asked for, where there never was one, or in no case. */
export type CreationMode = 'create' | 'if-new' | 'never'

/** What the administrator says of a store that is known under another path; `ask` when nothing was said. */
export type CopyAnswer = 'ask' | 'new-identity' | 'moved'

export interface DaemonOptions {
  /** Directory of the store. */
  store: string
  /** Make a new store where there is none; otherwise that is an error. */
  create?: boolean
  /** What a store is that is known under another path: a start is refused while that one is there, unless told. */
  copyAnswer?: CopyAnswer
  /** Where the filesystem appears; created when missing. */
  mount: string
  /** Path of the control socket. */
  socket: string
  /** Let other users than the one who started the daemon use the mount. */
  allowOther: boolean
  /** Directory of the second copy of every keystore. */
  keystoreBackup?: string
  /** Groups that are unlocked at the start, with the file that holds the passphrase. */
  passphraseFiles?: readonly PassphraseFile[]
  /** The start fails when one of these groups can't be unlocked; otherwise that is an alert. */
  requireUnlocked?: boolean
  /** Smallest quota that may be set; tests need small ones. */
  quotaBytesMin?: number
  /** The share of a container's files whose deletion within an hour is an alert; 50 unless told. */
  massDeletePercent?: number
  /** How long freed block files are kept, in seconds; a day unless told. */
  trashSeconds?: number
  /** Whether erasing old keys waits for the trash or empties it; `wait` unless told. */
  keyRetirement?: KeyRetirement
  /** Where statistics are served to Prometheus; nowhere unless told. */
  metrics?: MetricsPlace
  /** Who carries the kernel's requests: the addon's device layer unless told. */
  transport?: TransportName
  /** Idle processors are never kept awake for clients that ask often. */
  letProcessorsSleep?: boolean
  /** What the log on standard error holds: this and everything more severe; `info` unless told. */
  logLevel?: LogLevel
}

/** A port of the loopback interface, or the path of a Unix socket. */
export type MetricsPlace = { readonly port: number } | { readonly socket: string }

export interface PassphraseFile {
  group: string
  /** its first line is the passphrase */
  path: string
}

/** What recovery is told. */
export interface RecoveryOptions {
  readonly store: string
  /** find out everything and change nothing */
  readonly isDryRun: boolean
  /** also when the metadata looks whole */
  readonly isForced: boolean
  readonly now: () => Date
  /** what is done now, for people */
  readonly progress: (text: string) => void
}

/** What was recovered, or would be. */
export interface RecoveryReport {
  readonly isDryRun: boolean
  /** a copy, or the old metadata's own records, when they are newer than every copy */
  readonly source: 'copy' | 'metadata'
  /** the commit whose state it is */
  readonly sequence: number
  /** when the copy was written; null when it is no copy */
  readonly writtenAt: string | null
  /** the last commit that anything tells of: what is between is lost */
  readonly lastSequence: number
  /** why the old metadata is of no use; null when it could be read */
  readonly metadataTrouble: string | null
  readonly blockFiles: number
  /** their headers can't be read; they are kept under these names */
  readonly unreadableBlockFiles: readonly string[]
  readonly extents: number
  /** files that refer to chunks that are gone: reading them there fails. At most 1,000 */
  readonly lostFiles: readonly { readonly inode: number; readonly bytes: number }[]
  readonly lostFileCount: number
  readonly lostBytes: number
  /** where the old metadata is now */
  readonly keptAside: string | null
}

export interface RunningDaemon {
  /** Sentences for the administrator who started it: a new store, files that the mount hides. */
  readonly notices: readonly string[]
  /** Sentences about what the start could not do: groups that stay locked. */
  readonly warnings: readonly string[]

  /** Settles when the daemon has ended: resolved after an orderly end, rejected with what broke. */
  stopped: Promise<void>

  /** Commit, unmount, end. With `force`, files that are still open don't keep the mount. */
  stop(options: { force: boolean }): Promise<void>
}
