// Mail of a real daemon: STARTTLS and TLS from the start, each with a login, an outage of the relay with a kill -9 of the daemon, a hanging relay at stop.

import { once } from 'node:events'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { SMTPServerOptions } from 'smtp-server'
import t from 'tap'
import { mountSkipReason, startedCoffer } from '../helpers/mounted.ts'
import { selfSigned, startMailServer } from '../helpers/smtp.ts'

const skip = mountSkipReason
const FILES = 120
const PASSWORD = 's3cret of the relay'

async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 45_000
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`)
    await delay(200)
  }
}

function securedBy(key: Buffer, cert: Buffer): SMTPServerOptions {
  return {
    key,
    cert,
    onAuth: ({ username, password }, session, callback) => {
      if (session.secure && username === 'coffer' && password === PASSWORD) {
        callback(null, { user: username })
      } else {
        callback(new Error('wrong login'))
      }
    },
  }
}

t.test('an outage of the relay and a kill lose no alert', { skip }, async t => {
  const directory = t.testdir({ password: `${PASSWORD}\n` })
  const { key, cert, certPath } = await selfSigned(directory)
  process.env['NODE_EXTRA_CA_CERTS'] = certPath
  t.teardown(() => delete process.env['NODE_EXTRA_CA_CERTS'])
  const secured = securedBy(key, cert)
  const server = await startMailServer(secured)
  const coffer = await startedCoffer(t, 'c')
  const email = (...words: string[]): Promise<string> => coffer.coffer('email-alerts', ...words)

  await t.rejects(email('enable'), { code: 1, stderr: /email-alerts configure/ })
  const relay = `--relay localhost --port ${server.port} --tls starttls --user coffer`
  const people = '--sender-name Backup --sender coffer@example.com --to a@example.com'
  const common = `${relay} ${people} --to b@example.com`.split(' ')
  const login = ['--password-file', join(directory, 'password')]
  await t.rejects(email('configure', ...common, ...login, '--cc', 'nobody'), { code: 2 })
  await writeFile(join(directory, 'wrong'), 'wrong')
  await email('configure', ...common, '--password-file', join(directory, 'wrong'))
  await t.rejects(email('test-email'), { code: 1, stderr: /wrong login/ })
  await email('configure', ...common, ...login)
  t.equal(
    await coffer.coffer('email_alerts', '--test_email'),
    'Success: Test email sent.\n',
    'QoreStor spelling',
  )
  t.strictSame(
    server.mails.map(({ recipients }) => recipients),
    [['a@example.com', 'b@example.com']],
  )
  t.equal((await stat(join(coffer.store, 'mail-password'))).mode & 0o777, 0o600)
  const status = await email('enable', '--json')
  t.match(JSON.parse(status), { isEnabled: true, settings: { user: 'coffer', tls: 'starttls' } })
  t.notMatch(status, PASSWORD)

  await server.close()
  const at = (index: number): string => join(coffer.mount, 'c', `file-${index}`)
  for (let index = 0; index < FILES; index++) await writeFile(at(index), '')
  for (let index = 0; index < FILES; index++) await rm(at(index))
  await until('the relay is found to be down', async () => {
    const { alerts } = await coffer.json<{ alerts: { code: string }[] }>('alerts', 'show')
    return alerts.some(({ code }) => code === 'MAIL_FAILING')
  })
  await coffer.kill()
  const again = await startMailServer(secured, server.port)
  t.teardown(() => again.close())
  await coffer.start()
  await until('the mail', () => again.mails.length > 0)
  const text = again.mails.map(mail => mail.text).join('\n')
  t.match(text, /120 of 120 files \(100 %\) of container c were deleted within an hour/)
  t.match(text, /UNCLEAN_SHUTDOWN/)
  const { alerts } = await coffer.json<{ alerts: { code: string }[] }>('alerts', 'show')
  const codes = alerts.map(({ code }) => code)
  t.ok(codes.includes('MASS_DELETE'), 'the alert survived, too')
  t.notOk(codes.includes('MAIL_FAILING'))

  const events = await coffer.coffer('events', 'show', '--all')
  for (const part of ['CONTAINER_ADDED', 'EMAIL_SETTINGS', 'UNCLEAN_SHUTDOWN']) {
    t.ok(events.includes(part), part)
  }
  t.notMatch(events, PASSWORD)
  t.notMatch(await readFile(join(coffer.store, 'daemon.log'), 'utf8'), PASSWORD)
})

t.test('a relay that speaks TLS from the first byte', { skip }, async t => {
  const directory = t.testdir({ password: `${PASSWORD}\n`, other: {} })
  const { key, cert, certPath } = await selfSigned(directory)
  process.env['NODE_EXTRA_CA_CERTS'] = certPath
  t.teardown(() => delete process.env['NODE_EXTRA_CA_CERTS'])
  const server = await startMailServer({ ...securedBy(key, cert), secure: true })
  t.teardown(() => server.close())
  const stranger = await selfSigned(join(directory, 'other'))
  const impostor = await startMailServer({
    ...securedBy(stranger.key, stranger.cert),
    secure: true,
  })
  t.teardown(() => impostor.close())
  const coffer = await startedCoffer(t, 'c')
  const login = ['--user', 'coffer', '--password-file', join(directory, 'password')]
  const people = '--sender-name Backup --sender coffer@example.com --to a@example.com'
  const configure = (host: string, port: number): Promise<string> => {
    const relay = `--relay ${host} --port ${port} --tls tls ${people}`
    return coffer.coffer('email-alerts', 'configure', ...relay.split(' '), ...login)
  }
  const test = (): Promise<string> => coffer.coffer('email-alerts', 'test-email')

  await configure('localhost', impostor.port)
  await t.rejects(test(), { code: 1, stderr: /self-signed certificate/ }, 'a stranger')
  await configure('127.0.0.1', server.port)
  await t.rejects(test(), { code: 1, stderr: /not match certificate/ }, 'another host')
  t.equal(server.mails.length, 0)
  await configure('localhost', server.port)
  t.equal(await test(), 'Success: Test email sent.\n')
  t.match(server.mails, [{ recipients: ['a@example.com'], subject: /coffer/ }])
  t.equal(impostor.mails.length, 0)

  await coffer.coffer('email-alerts', 'enable')
  await coffer.kill()
  await coffer.start()
  await until('the mail of an alert', () => server.mails.length > 1)
  t.match(server.mails[1]?.text, /UNCLEAN_SHUTDOWN/, 'the login outlives the daemon')
})

t.test('a relay that never answers keeps no daemon from stopping', { skip }, async t => {
  const silent = createServer()
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => silent.close())
  const address = silent.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const coffer = await startedCoffer(t, 'c')
  const connected = once(silent, 'connection')
  const people = '--sender-name x --sender x@example.com --to y@example.com'
  const relay = `--relay 127.0.0.1 --port ${port}`
  await coffer.coffer('email-alerts', 'configure', ...`${relay} ${people}`.split(' '))
  const test = coffer.coffer('email-alerts', 'test-email').catch((error: Error) => error.message)
  await connected
  const started = performance.now()
  await coffer.stop()
  t.ok(performance.now() - started < 5000, 'stopped at once')
  await test
  await coffer.start()
  const { alerts } = await coffer.json<{ alerts: { code: string }[] }>('alerts', 'show')
  t.notOk(
    alerts.some(({ code }) => code === 'UNCLEAN_SHUTDOWN'),
    'that was an orderly stop',
  )
})
