// When mail is sent: bursts are grouped, a relay that is down is tried again with growing pauses, and it is an alert
// that mails nothing about itself. Nothing here has a clock: `tick` is told the time.

import { describeOverflow } from './code-alerts.ts'
import type { Alert, Overflow } from './code-alerts.ts'
import { isAlertCode } from './kinds.ts'
import type { AlertCode } from './kinds.ts'
import type { MailBook } from './mail-book.ts'
import type { MailNotice, MailSettings } from './mail-settings.ts'
import { composeMail, composeTest } from './mail-text.ts'
import type { MailMessage, MailPlace } from './mail-text.ts'
import { CofferError } from '../errors.ts'

/** Alerts of one cause come within seconds. */
const GROUPING_MS = 10_000
const NOTICES_PER_MAIL_MAX = 50
const RETRY_MS_MIN = 15_000
const RETRY_MS_MAX = 3_600_000

export interface MailerOptions {
  readonly book: MailBook
  readonly place: MailPlace
  readonly nowSeconds: () => number
  /** hands it to the relay. @throws Error with the relay's words */
  readonly deliver: (settings: MailSettings, message: MailMessage) => Promise<void>
  readonly raise: (code: AlertCode, text: string) => void
  readonly clear: (code: AlertCode) => void
  /** what was delivered must be forgotten durably before a crash delivers it once more */
  readonly commit: () => Promise<void>
  /** alerts of a code that stand and are not listed */
  readonly overflowOf: (code: AlertCode) => Overflow | undefined
}

export class Mailer {
  readonly #options: MailerOptions
  #isSending = false
  #failures = 0
  /** of `tick`'s clock */
  #groupingSinceMs: number | undefined
  #notBeforeMs = 0

  constructor(options: MailerOptions) {
    this.#options = options
  }

  /** An alert was raised or cleared. */
  notify(change: 'raised' | 'cleared', alert: Alert): void {
    const { book, nowSeconds } = this.#options
    if (!book.isEnabled || alert.code === 'MAIL_FAILING') return
    const { code, subject, severity, title, whatToDo, text, sinceSeconds } = alert
    const notice = { change, code, subject, severity, title, whatToDo, text, sinceSeconds }
    book.add({ ...notice, timeSeconds: nowSeconds() })
  }

  /** Sends what is due. Never rejects. @param nowMs of a clock that never goes back */
  async tick(nowMs: number): Promise<void> {
    const { book } = this.#options
    const { settings } = book
    if (this.#isSending || !book.isEnabled || settings === null) return
    if (book.waiting.length === 0) {
      this.#groupingSinceMs = undefined
      return
    }
    this.#groupingSinceMs ??= nowMs
    if (nowMs < Math.max(this.#groupingSinceMs + GROUPING_MS, this.#notBeforeMs)) return
    this.#isSending = true
    try {
      await this.#send(settings, nowMs)
    } finally {
      this.#isSending = false
    }
  }

  /** Settings have changed: what waits is tried at once. */
  settingsChanged(): void {
    this.#failures = 0
    this.#notBeforeMs = 0
    if (!this.#options.book.isEnabled) this.#options.clear('MAIL_FAILING')
  }

  /** @throws CofferError EMAIL_NOT_CONFIGURED, EMAIL_FAILED with the relay's words */
  async test(): Promise<void> {
    const { book, deliver, place } = this.#options
    if (book.settings === null) throw notConfigured()
    try {
      await deliver(book.settings, composeTest(place))
    } catch (cause) {
      throw new CofferError('EMAIL_FAILED', `The test mail was not sent: ${words(cause)}`, {
        cause,
      })
    }
    this.#works()
  }

  async #send(settings: MailSettings, nowMs: number): Promise<void> {
    const { book, deliver, place, raise, commit } = this.#options
    const notices = book.waiting.slice(0, NOTICES_PER_MAIL_MAX)
    const { droppedCount } = book
    try {
      await deliver(
        settings,
        composeMail(place, notices, droppedCount, this.#overflowLines(notices)),
      )
    } catch (error) {
      const pauseMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.#failures)
      this.#failures++
      this.#notBeforeMs = nowMs + pauseMs
      raise('MAIL_FAILING', `The relay ${settings.relay} does not take mail: ${words(error)}`)
      return
    }
    book.delivered(notices, droppedCount)
    this.#works()
    // A store that went read-only keeps its notices on disk; they are delivered once more after the next start.
    await commit().catch(() => undefined)
  }

  /** What stands of the notices' codes beside what was mailed, as of now. */
  #overflowLines(notices: readonly MailNotice[]): string[] {
    const codes = new Set(notices.map(({ code }) => code))
    return [...codes].flatMap(code => {
      const overflow = isAlertCode(code) ? this.#options.overflowOf(code) : undefined
      return overflow === undefined ? [] : [`[${code}] ${describeOverflow(overflow)}`]
    })
  }

  #works(): void {
    this.#failures = 0
    this.#notBeforeMs = 0
    this.#groupingSinceMs = undefined
    this.#options.clear('MAIL_FAILING')
  }
}

export function notConfigured(): CofferError {
  return new CofferError(
    'EMAIL_NOT_CONFIGURED',
    'E-mail alerts are not configured; run "coffer email-alerts configure" first.',
  )
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
