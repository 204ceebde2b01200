// Where mail goes and by which relay. The relay's password is not part of it: it lies in a file of its own.

import { z } from 'zod'

export const mailSettings = z.object({
  relay: z.string(),
  port: z.int().min(1).max(65_535),
  tls: z.enum(['none', 'starttls', 'tls']),
  /** null: the relay wants no login */
  user: z.string().nullable(),
  senderName: z.string(),
  sender: z.string(),
  to: z.array(z.string()).min(1),
  cc: z.array(z.string()),
  bcc: z.array(z.string()),
})

export type MailSettings = z.output<typeof mailSettings>

/** One alert raised or cleared, on its way to somebody's mailbox. */
export const mailNotice = z.object({
  change: z.enum(['raised', 'cleared']),
  code: z.string(),
  subject: z.string().nullable(),
  severity: z.enum(['info', 'warning', 'critical']),
  title: z.string(),
  whatToDo: z.string(),
  text: z.string(),
  sinceSeconds: z.number(),
  /** when it was raised or cleared */
  timeSeconds: z.number(),
})

export type MailNotice = z.output<typeof mailNotice>
