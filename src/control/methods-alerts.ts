// Control methods of alerts, events and the mail about them.

import { z } from 'zod'

import { count, isoTime, nothing } from './schemas.ts'

const severity = z.enum(['info', 'warning', 'critical'])

const EVENTS_MAX = 10_000
const RECIPIENTS_MAX = 50
const TEXT_MAX = 200
const SUBJECT_MAX = 255
const PASSWORD_MAX = 1024

const alert = z.object({
  code: z.string(),
  subject: z.string().nullable().describe('which group, container, block, …'),
  severity,
  title: z.string(),
  text: z.string(),
  whatToDo: z.string(),
  since: isoTime,
  acknowledgedAt: isoTime.nullable().describe('null for an alert that needs attention'),
  note: z.string().nullable().describe('what the administrator said when acknowledging it'),
})

const moreAlerts = z.object({
  code: z.string(),
  severity,
  title: z.string(),
  whatToDo: z.string(),
  count: count.describe('alerts of this code that stand and are not listed'),
  acknowledgedCount: count.describe('how many of these are acknowledged'),
  isAtLeast: z.boolean().describe('more alerts were raised than are counted'),
  text: z.string().describe('"and 7 more"'),
})

/** Alerts, and what stands beside those that are listed. */
export const alertList = z.object({
  alerts: z.array(alert).describe('oldest first; at most 100 of a code, and 100 acknowledged ones'),
  moreAlerts: z.array(moreAlerts).describe('one entry a code that has more'),
})

const event = z.object({
  index: z.int().positive(),
  time: isoTime,
  code: z.string(),
  severity,
  text: z.string(),
})

const address = z.email('is not an e-mail address').max(TEXT_MAX)
const addresses = z.array(address).max(RECIPIENTS_MAX)
const line = z
  .string()
  .min(1)
  .max(TEXT_MAX)
  .regex(/^\P{Cc}+$/u, 'must be one line without control characters')
const tls = z.enum(['none', 'starttls', 'tls'])

const settings = z.object({
  relay: z.string(),
  port: z.int(),
  tls,
  user: z.string().nullable(),
  senderName: z.string(),
  sender: z.string(),
  to: z.array(z.string()),
  cc: z.array(z.string()),
  bcc: z.array(z.string()),
})

const mailStatus = z.object({
  isEnabled: z.boolean(),
  settings: settings.nullable().describe('without the password, which is never shown'),
  waiting: count.describe('notices that are not delivered yet'),
  dropped: count.describe('notices that the bound of the queue pushed out since the last mail'),
  failing: z.string().nullable().describe('why mail is not delivered now'),
})

export const alertMethods = {
  'alerts.show': {
    summary: 'What needs attention now.',
    params: nothing,
    result: alertList,
  },
  'alerts.acknowledge': {
    summary:
      'Acknowledge an alert, or all of a code. Alerts of one-time events are removed; others stay until their condition ends.',
    params: z.strictObject({
      code: z.string().regex(/^[A-Z_]{1,64}$/, 'is not the code of an alert'),
      subject: z
        .string()
        .min(1)
        .max(SUBJECT_MAX)
        .optional()
        .describe('which of several; without it: all of this code'),
      note: line.optional().describe('shown with the alert'),
    }),
    result: z.object({
      acknowledged: count.describe('alerts that stay until their condition ends'),
      removed: count.describe('alerts of one-time events, which are gone'),
    }),
  },
  'events.show': {
    summary: 'The history, oldest first.',
    params: z.strictObject({
      index: z
        .int()
        .optional()
        .describe('the first event; -N begins N before the end; without it: the newest'),
      count: z.int().min(1).max(EVENTS_MAX).default(20),
    }),
    result: z.object({ events: z.array(event) }),
  },
  'emailAlerts.configure': {
    summary: 'Set where mail goes and by which relay. Replaces all earlier settings.',
    params: z.strictObject({
      relay: z.string().regex(/^[A-Za-z0-9_.:-]{1,253}$/, 'is not the name or address of a host'),
      port: z.int().min(1).max(65_535).optional().describe('25; 587 with starttls; 465 with tls'),
      tls: tls.default('none'),
      user: line.optional(),
      password: z.string().max(PASSWORD_MAX).optional(),
      senderName: line,
      sender: address,
      to: addresses.min(1),
      cc: addresses.default([]),
      bcc: addresses.default([]),
    }),
    result: mailStatus,
  },
  'emailAlerts.enable': {
    summary: 'Send a mail for every alert that is raised or cleared from now on.',
    params: nothing,
    result: mailStatus,
  },
  'emailAlerts.disable': {
    summary: 'Send no more mail. The settings stay.',
    params: nothing,
    result: mailStatus,
  },
  'emailAlerts.status': {
    summary: 'Settings, and what waits for delivery.',
    params: nothing,
    result: mailStatus,
  },
  'emailAlerts.testEmail': {
    summary: 'Send a test mail now; the error is in the words of the relay.',
    params: nothing,
    result: nothing,
  },
  'emailAlerts.clearConfig': {
    summary: 'Forget the settings, the password and what waits.',
    params: nothing,
    result: mailStatus,
  },
} as const

export type Alert = z.output<typeof alert>
export type MoreAlerts = z.output<typeof moreAlerts>
export type AlertList = z.output<typeof alertList>
export type EventInfo = z.output<typeof event>
export type MailStatus = z.output<typeof mailStatus>
