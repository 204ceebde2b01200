// Hands one mail to the relay, within bounded time.

import { connect } from 'node:net'
import type { Socket } from 'node:net'
import nodemailer from 'nodemailer'
import type { MailSettings } from './mail-settings.ts'
import { senderOf } from './mail-text.ts'
import type { MailMessage } from './mail-text.ts'

/** A relay that is slower is as good as down; the mail is tried again later. */
const CONNECT_TIMEOUT_MS = 10_000
const SILENCE_TIMEOUT_MS = 30_000

/** @param signal ends it: a daemon that stops doesn't wait for a relay. @throws Error with the relay's own words */
export async function sendMail(
  settings: MailSettings,
  password: string | undefined,
  message: MailMessage,
  signal: AbortSignal,
): Promise<void> {
  const { relay, port, tls, user, to, cc, bcc } = settings
  const transport = nodemailer.createTransport({
    host: relay,
    port,
    secure: tls === 'tls',
    requireTLS: tls === 'starttls',
    ignoreTLS: tls === 'none',
    ...(user !== null && { auth: { user, pass: password ?? '' } }),
    getSocket: (_options, callback) => {
      openSocket(relay, port, signal).then(
        connection => callback(null, { connection }),
        (error: Error) => callback(error, undefined),
      )
    },
    greetingTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_TIMEOUT_MS,
    // A mail is made of strings of ours: no file and no address is ever fetched for it.
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  try {
    await transport.sendMail({ from: senderOf(settings), to, cc, bcc, ...message })
  } finally {
    transport.close()
  }
}

/** A socket that `signal` ends whatever the mail is at. */
function openSocket(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: CONNECT_TIMEOUT_MS, signal })
    const tooLate = (): void => {
      socket.destroy(new Error(`no answer from ${host} within ${CONNECT_TIMEOUT_MS / 1000} s`))
    }
    socket.once('timeout', tooLate)
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('timeout', tooLate)
      socket.off('error', reject)
      socket.setTimeout(0)
      resolve(socket)
    })
  })
}
