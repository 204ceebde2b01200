// The records of alerts in the metadata: one for each alert that is remembered, and one for each code of which there are
// more than that.

import { z } from 'zod'
import { StoreError } from '../errors.ts'
import { packJson, parseJson, TABLE } from '../metadata/index.ts'
import type { Entry } from './code-alerts.ts'
import { ALERT_KINDS, isAlertCode } from './kinds.ts'
import type { AlertCode } from './kinds.ts'

const RECORD_VERSION = 3
/** Before alerts could be acknowledged; all of them were listed, in no order. */
const SECOND_VERSION = 2
/** Before alerts had subjects: the block's number was part of the code. */
const FIRST_VERSION = 1
const FORGOTTEN_PREFIX = '+'

const storedSecond = z.object({
  code: z.string(),
  subject: z.string().nullable(),
  text: z.string(),
  sinceSeconds: z.number(),
})
const stored = storedSecond.extend({
  acknowledgedSeconds: z.number().nullable(),
  note: z.string().nullable(),
  order: z.int().nonnegative(),
  isTold: z.boolean(),
})
const storedFirst = z.object({ text: z.string(), sinceSeconds: z.number() })
const storedForgotten = z.object({})

type Stored = Omit<z.output<typeof stored>, 'order'> & { readonly order: number | null }

/** An entry as it was read; records of earlier versions have no order. */
export type ReadEntry = Omit<Entry, 'order'> & { readonly order: number | null }

/** `CODE` or `CODE subject`; codes hold no space. */
export function idOf(code: AlertCode, subject: string | null): string {
  return subject === null ? code : `${code} ${subject}`
}

/** What says that subjects of this code found no room. */
export function forgottenId(code: AlertCode): string {
  return `${FORGOTTEN_PREFIX}${code}`
}

export function keyOf(id: string): Buffer {
  return Buffer.concat([Buffer.of(TABLE.alert), Buffer.from(id)])
}

export function packEntry({ alert, order, isTold }: Entry): Buffer {
  const { code, subject, text, sinceSeconds, acknowledgedSeconds, note } = alert
  const fields = { code, subject, text, sinceSeconds, acknowledgedSeconds, note, order, isTold }
  return packJson(RECORD_VERSION, fields)
}

export function packForgotten(): Buffer {
  return packJson(RECORD_VERSION, {})
}

/** The code of a record that says that subjects found no room; undefined for the record of an alert. @throws StoreError */
export function parseForgotten(id: string, value: Uint8Array): AlertCode | undefined {
  if (!id.startsWith(FORGOTTEN_PREFIX)) return undefined
  parseJson(storedForgotten, value, RECORD_VERSION, `record of alerts ${id}`)
  return knownCode(id.slice(FORGOTTEN_PREFIX.length), id)
}

/** @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED */
export function parseEntry(id: string, value: Uint8Array): ReadEntry {
  const { order, isTold, code: name, ...rest } = parseAnyVersion(id, value)
  const code = knownCode(name, id)
  return { alert: { ...ALERT_KINDS[code], ...rest, code }, order, isTold }
}

function parseAnyVersion(id: string, value: Uint8Array): Stored {
  const what = `record of alert ${id}`
  const added = { acknowledgedSeconds: null, note: null, order: null, isTold: true }
  switch (value[0]) {
    case FIRST_VERSION:
      return { ...upgradeFirst(id, parseJson(storedFirst, value, FIRST_VERSION, what)), ...added }
    case SECOND_VERSION:
      return { ...parseJson(storedSecond, value, SECOND_VERSION, what), ...added }
    default:
      return parseJson(stored, value, RECORD_VERSION, what)
  }
}

function knownCode(code: string, id: string): AlertCode {
  if (isAlertCode(code)) return code
  throw new StoreError('UNKNOWN_VERSION', `The record of alert ${id} is of an unknown version.`)
}

function upgradeFirst(
  id: string,
  { text, sinceSeconds }: z.output<typeof storedFirst>,
): z.output<typeof storedSecond> {
  const block = /^DAMAGED_BLOCK_(\d+)$/.exec(id)?.[1]
  return block === undefined
    ? { code: id, subject: null, text, sinceSeconds }
    : { code: 'DAMAGED_BLOCK', subject: block, text, sinceSeconds }
}
