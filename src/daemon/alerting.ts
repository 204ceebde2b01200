// Events, alerts and mail, put together on the metadata store.

import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { AlertBoard, EventLog, MailBook, Mailer, sendMail } from '../alerts/index.ts'
import type { CofferEvent } from '../alerts/index.ts'
import type { CommitParticipant, MetadataStore } from '../metadata/index.ts'
import { RunMarker } from './run-marker.ts'

export interface AlertingOptions {
  readonly metadata: MetadataStore
  readonly nowSeconds: () => number
  readonly storePath: string
  /** the file with the relay's password; it may be missing */
  readonly passwordPath: string
  /** for the daemon's log */
  readonly recorded: (event: CofferEvent) => void
}

export interface Alerting {
  readonly events: EventLog
  readonly board: AlertBoard
  readonly mailBook: MailBook
  readonly mailer: Mailer
  readonly participants: readonly CommitParticipant[]
  /** time of the newest event of earlier runs, or 0 */
  readonly lastSeconds: number
  /** The commit that follows is the last one. */
  stopping(): void
}

/** @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED */
export async function openAlerting(options: AlertingOptions): Promise<Alerting> {
  const { metadata, nowSeconds, storePath, recorded } = options
  const touched = (): void => metadata.touched()
  const abort = new AbortController()
  const marker = new RunMarker(metadata)
  const events = new EventLog({ nowSeconds, touched, recorded })
  await events.load(metadata)
  const lastSeconds = events.newest?.timeSeconds ?? 0
  const mailBook = new MailBook(touched)
  await mailBook.load(metadata)
  const board: AlertBoard = new AlertBoard({
    nowSeconds,
    touched,
    record: (code, severity, text) => events.record(code, severity, text),
    notify: (change, alert) => mailer.notify(change, alert),
  })
  const mailer = new Mailer({
    book: mailBook,
    place: { host: hostname(), store: storePath },
    nowSeconds,
    deliver: async (settings, message) => {
      await sendMail(settings, await readPassword(options.passwordPath), message, abort.signal)
    },
    raise: (code, text) => board.raise(code, text),
    clear: code => board.clear(code),
    commit: () => metadata.commit(),
    overflowOf: code => board.overflowOf(code),
  })
  await board.load(metadata)
  if (marker.wasUnclean) {
    const text = `The daemon of ${storePath} ended without a stop; commit ${metadata.sequence} is the last one.`
    board.raise('UNCLEAN_SHUTDOWN', text)
  } else {
    board.clear('UNCLEAN_SHUTDOWN')
  }
  return {
    events,
    board,
    mailBook,
    mailer,
    participants: [marker, events, board, mailBook],
    lastSeconds,
    stopping: () => {
      abort.abort()
      events.record('DAEMON_STOPPED', 'info', 'The daemon ends in order.')
      marker.stopping()
    },
  }
}

async function readPassword(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}
