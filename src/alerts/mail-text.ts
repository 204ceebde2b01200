// What a mail says, for a reader at 3 a.m.: what, where, since when, what to do.

import { pluralWith } from '../plural.ts'
import type { MailNotice, MailSettings } from './mail-settings.ts'

export interface MailPlace {
  readonly host: string
  readonly store: string
}

export interface MailMessage {
  readonly subject: string
  readonly text: string
}

/** Enough to tell alerts apart in a list of mails. */
const SUBJECT_CHARACTERS_MAX = 120

/**
 * One mail of these notices, oldest first.
 * @param droppedCount older ones that are lost
 * @param overflowLines what stands beside what is listed
 */
export function composeMail(
  place: MailPlace,
  notices: readonly MailNotice[],
  droppedCount: number,
  overflowLines: readonly string[],
): MailMessage {
  const parts = notices.map(notice => describe(notice))
  if (overflowLines.length > 0) {
    parts.push(`Alerts that are not listed:\n${overflowLines.join('\n')}\n`)
  }
  if (droppedCount > 0) {
    parts.push(
      `${pluralWith(droppedCount, 'older message', ['was', 'were'])} dropped; see "coffer events show --all".\n`,
    )
  }
  parts.push(`Machine : ${place.host}\nStore   : ${place.store}\nNow     : "coffer alerts show"\n`)
  return { subject: subjectOf(place, notices), text: parts.join('\n') }
}

export function composeTest(place: MailPlace): MailMessage {
  return {
    subject: `[coffer ${place.host}] Test`,
    text: `This is a test. Alerts of the store ${place.store} on ${place.host} come to this address.\n`,
  }
}

/** `From:` as nodemailer takes it: it does the quoting. */
export function senderOf({ senderName, sender }: MailSettings): { name: string; address: string } {
  return { name: senderName, address: sender }
}

function subjectOf(place: MailPlace, notices: readonly MailNotice[]): string {
  const first = notices.find(isBad('critical')) ?? notices.find(isBad('warning')) ?? notices[0]
  if (first === undefined) return `[coffer ${place.host}] Messages`
  const word = first.change === 'cleared' ? 'Over' : first.severity.toUpperCase()
  const more = notices.length > 1 ? ` (and ${notices.length - 1} more)` : ''
  return `[coffer ${place.host}] ${word}: ${first.title}${more}`.slice(0, SUBJECT_CHARACTERS_MAX)
}

function isBad(severity: MailNotice['severity']): (notice: MailNotice) => boolean {
  return notice => notice.change === 'raised' && notice.severity === severity
}

function describe(notice: MailNotice): string {
  const { change, code, severity, title, text, sinceSeconds, timeSeconds, whatToDo } = notice
  const lines = [
    `${change === 'cleared' ? 'OVER' : severity.toUpperCase()}: ${title} [${code}]`,
    `What  : ${text}`,
    `Since : ${isoTime(sinceSeconds)}`,
    change === 'cleared' ? `Over  : ${isoTime(timeSeconds)}` : `To do : ${whatToDo}`,
  ]
  return `${lines.join('\n')}\n`
}

function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString()
}
