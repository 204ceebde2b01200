// A real SMTP server on loopback, of an independent package, and an independent parser of what it receives.

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { simpleParser, type ParsedMail } from 'mailparser'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

const run = promisify(execFile)

export interface ReceivedMail extends ParsedMail {
  /** whom the envelope names: BCC is only here */
  readonly recipients: readonly string[]
}

export interface MailServer {
  readonly port: number
  readonly mails: ReceivedMail[]
  close(): Promise<void>
}

/** @param port 0 for any */
export async function startMailServer(
  options: SMTPServerOptions = {},
  port = 0,
): Promise<MailServer> {
  const mails: ReceivedMail[] = []
  const server = new SMTPServer({
    ...(options.onAuth === undefined && { authOptional: true }),
    ...options,
    onData: (stream, session, callback) => {
      text(stream)
        .then(async source => {
          const recipients = session.envelope.rcptTo.map(({ address }) => address)
          mails.push({ ...(await simpleParser(source)), recipients })
          callback()
        })
        .catch((error: Error) => callback(error))
    },
  })
  server.on('error', () => undefined)
  server.listen(port, '127.0.0.1')
  await once(server.server, 'listening')
  const address = server.server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    mails,
    close: () => new Promise(resolve => server.close(() => resolve())),
  }
}

/** A certificate for localhost that signs itself. */
export async function selfSigned(
  directory: string,
): Promise<{ key: Buffer; cert: Buffer; certPath: string }> {
  const [keyPath, certPath] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await run('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', keyPath, '-out', certPath])
  return { key: await readFile(keyPath), cert: await readFile(certPath), certPath }
}
