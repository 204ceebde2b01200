// Control methods of alerts, events and mail.

import { rm } from 'node:fs/promises'
import { ALERT_KINDS, describeOverflow, notConfigured } from '../alerts/index.ts'
import type {
  Alert as BoardAlert,
  AlertBoard,
  CofferEvent,
  MailSettings,
  Overflow,
} from '../alerts/index.ts'
import type {
  Alert,
  AlertList,
  ControlTarget,
  EventInfo,
  MailStatus,
  MoreAlerts,
} from '../control/index.ts'
import type { Storage } from './storage.ts'
import { writeDurably } from '../durable-file.ts'

export interface AlertMethodsOptions {
  readonly storage: Storage
  readonly mailPasswordPath: string
}

type AlertMethods = Pick<
  ControlTarget,
  | 'alerts.show'
  | 'alerts.acknowledge'
  | 'events.show'
  | 'emailAlerts.configure'
  | 'emailAlerts.enable'
  | 'emailAlerts.disable'
  | 'emailAlerts.status'
  | 'emailAlerts.testEmail'
  | 'emailAlerts.clearConfig'
>

const DEFAULT_PORTS = { none: 25, starttls: 587, tls: 465 } as const

export function alertMethods({ storage, mailPasswordPath }: AlertMethodsOptions): AlertMethods {
  const { alerting, metadata } = storage
  const { mailBook, mailer, events } = alerting
  const changed = async (text: string): Promise<MailStatus> => {
    mailer.settingsChanged()
    events.record('EMAIL_SETTINGS', 'info', text)
    await metadata.commit()
    return mailStatus(storage)
  }
  return {
    'alerts.show': async () => showAlerts(storage.alerts),
    'alerts.acknowledge': async ({ code, subject, note }) => {
      const result = alerting.board.acknowledge(code, { subject, note: note ?? null })
      await metadata.commit()
      return result
    },
    'events.show': async ({ index, count }) => ({
      events: events.select({ ...(index !== undefined && { index }), count }).map(showEvent),
    }),
    'emailAlerts.configure': async ({ password, port, user, ...rest }) => {
      // The password first: settings never name a login whose password is another's.
      if (password === undefined) await rm(mailPasswordPath, { force: true })
      else await writeDurably('mail-password', mailPasswordPath, password)
      const settings: MailSettings = {
        ...rest,
        port: port ?? DEFAULT_PORTS[rest.tls],
        user: user ?? null,
      }
      mailBook.configure(settings)
      return await changed(`E-mail alerts go by ${settings.relay} to ${settings.to.join(', ')}.`)
    },
    'emailAlerts.enable': async () => {
      if (mailBook.settings === null) throw notConfigured()
      mailBook.setEnabled(true)
      return await changed('E-mail alerts are on.')
    },
    'emailAlerts.disable': async () => {
      mailBook.setEnabled(false)
      return await changed('E-mail alerts are off.')
    },
    'emailAlerts.status': async () => mailStatus(storage),
    'emailAlerts.testEmail': async () => {
      await mailer.test()
      return {}
    },
    'emailAlerts.clearConfig': async () => {
      mailBook.clearConfig()
      await rm(mailPasswordPath, { force: true })
      return await changed('The settings of e-mail alerts are gone.')
    },
  }
}

function mailStatus({ alerting }: Storage): MailStatus {
  const { mailBook, board } = alerting
  return {
    isEnabled: mailBook.isEnabled,
    settings: mailBook.settings,
    waiting: mailBook.waiting.length,
    dropped: mailBook.droppedCount,
    failing: board.ofCode('MAIL_FAILING')[0]?.text ?? null,
  }
}

/** How alerts look to control clients. */
export function showAlerts(board: Pick<AlertBoard, 'list' | 'overflows'>): AlertList {
  return { alerts: board.list().map(showAlert), moreAlerts: board.overflows().map(showOverflow) }
}

function showAlert({ sinceSeconds, acknowledgedSeconds, ...alert }: BoardAlert): Alert {
  const acknowledgedAt = acknowledgedSeconds === null ? null : isoTime(acknowledgedSeconds)
  return { ...alert, since: isoTime(sinceSeconds), acknowledgedAt }
}

function showOverflow(overflow: Overflow): MoreAlerts {
  const { severity, title, whatToDo } = ALERT_KINDS[overflow.code]
  return { ...overflow, severity, title, whatToDo, text: describeOverflow(overflow) }
}

function showEvent({ timeSeconds, ...event }: CofferEvent): EventInfo {
  return { ...event, time: isoTime(timeSeconds) }
}

function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString()
}
