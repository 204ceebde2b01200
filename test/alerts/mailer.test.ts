// The mailer with a clock of the test, against a real SMTP server: every kind of alert, grouping, outages, the bound.

import t from 'tap'
import { ALERT_CODES, ALERT_KINDS, MailBook, Mailer, sendMail } from '../../src/alerts/index.ts'
import type { Alert, AlertCode, MailSettings } from '../../src/alerts/index.ts'
import { NOTICES_MAX } from '../../src/alerts/mail-book.ts'
import { MemoryMetadata } from '../helpers/memory-metadata.ts'
import { startMailServer } from '../helpers/smtp.ts'

const place = { host: 'backup1', store: '/srv/store' }
const seconds = 1000

function settingsFor(port: number): MailSettings {
  return {
    relay: '127.0.0.1',
    port,
    tls: 'none',
    user: null,
    senderName: 'Coffer, "the" ünlocked',
    sender: 'coffer@example.com',
    to: ['a@example.com'],
    cc: ['c@example.com'],
    bcc: ['b@example.com'],
  }
}

function alertOf(code: AlertCode): Alert {
  return {
    ...ALERT_KINDS[code],
    code,
    subject: null,
    text: `Text of ${code}.`,
    sinceSeconds: 1_700_000_000,
    acknowledgedSeconds: null,
    note: null,
  }
}

async function opened(metadata: MemoryMetadata, port: number) {
  const book = new MailBook(() => undefined)
  await book.load(metadata)
  metadata.participants.splice(0, Number.POSITIVE_INFINITY, book)
  const state = { failing: undefined as string | undefined }
  const mailer = new Mailer({
    book,
    place,
    nowSeconds: () => 1_700_000_060,
    deliver: (settings, message) =>
      sendMail(settings, undefined, message, new AbortController().signal),
    raise: (_code, text) => void (state.failing = text),
    clear: () => void (state.failing = undefined),
    commit: () => metadata.commit(),
    overflowOf: () => undefined,
  })
  if (book.settings === null) {
    book.configure(settingsFor(port))
    book.setEnabled(true)
  }
  return { book, mailer, state }
}

t.test('every kind of alert says what, where, since when and what to do', async t => {
  const server = await startMailServer()
  t.teardown(() => server.close())
  const { mailer } = await opened(new MemoryMetadata(), server.port)
  let now = 0
  const mailed = ALERT_CODES.filter(code => code !== 'MAIL_FAILING')
  for (const code of mailed) {
    mailer.notify('raised', alertOf(code))
    await mailer.tick(now)
    now += 10 * seconds
    await mailer.tick(now)
    const mail = server.mails.at(-1)
    const { title, severity, whatToDo } = ALERT_KINDS[code]
    t.equal(mail?.subject, `[coffer backup1] ${severity.toUpperCase()}: ${title}`, code)
    for (const part of [code, `Text of ${code}.`, whatToDo, '2023-11-14T22:13:20', '/srv/store']) {
      t.ok(mail?.text?.includes(part), `${code}: ${part}`)
    }
    await mailer.tick(++now)
  }
  t.equal(server.mails.length, mailed.length)
  const [mail] = server.mails
  t.match(mail?.from?.value, [{ name: 'Coffer, "the" ünlocked', address: 'coffer@example.com' }])
  t.strictSame(mail?.recipients, ['a@example.com', 'c@example.com', 'b@example.com'])
  t.equal(mail?.bcc, undefined, 'hidden copies are hidden')
})

t.test('a burst is one mail, headed by the worst', async t => {
  const server = await startMailServer()
  t.teardown(() => server.close())
  const { mailer, book } = await opened(new MemoryMetadata(), server.port)
  mailer.notify('raised', alertOf('SPACE_LOW'))
  await mailer.tick(0)
  mailer.notify('cleared', alertOf('SPACE_LOW'))
  mailer.notify('raised', alertOf('SPACE_CRITICAL'))
  await mailer.tick(9 * seconds)
  t.equal(server.mails.length, 0, 'not before the window has passed')
  await mailer.tick(10 * seconds)
  t.equal(server.mails.length, 1)
  t.equal(
    server.mails[0]?.subject,
    '[coffer backup1] CRITICAL: The disk of the store is almost full (and 2 more)',
  )
  t.match(
    server.mails[0]?.text,
    /WARNING: [^]*OVER: [^]*Over {2}: 2023-11-14T22:14:20[^]*CRITICAL: /,
  )
  t.equal(book.waiting.length, 0)
})

t.test('an outage: pauses grow, nothing is lost over a restart, no mail about mail', async t => {
  const server = await startMailServer()
  const { port } = server
  await server.close()
  const metadata = new MemoryMetadata()
  const first = await opened(metadata, port)
  first.mailer.notify('raised', alertOf('PASS_FAILED'))
  await first.mailer.tick(0)
  await first.mailer.tick(10 * seconds)
  t.match(first.state.failing, /127\.0\.0\.1 does not take mail: .*ECONNREFUSED/)
  first.mailer.notify('raised', alertOf('MAIL_FAILING'))
  t.equal(first.book.waiting.length, 1)
  await metadata.commit()

  const { mailer, book, state } = await opened(metadata, port)
  state.failing = 'from the first run'
  await mailer.tick(0)
  await mailer.tick(10 * seconds)
  const again = await startMailServer({}, port)
  t.teardown(() => again.close())
  await mailer.tick(24 * seconds)
  t.equal(again.mails.length, 0, 'the pause is 15 s')
  await mailer.tick(25 * seconds)
  t.equal(again.mails.length, 1)
  t.equal(state.failing, undefined)
  t.equal(book.waiting.length, 0)
  t.strictSame(
    [...metadata.records.keys()].filter(key => key.startsWith('MN')),
    [],
    'delivered means forgotten, durably',
  )
})

t.test('the queue is bounded, and the next mail says what it lost', async t => {
  const server = await startMailServer()
  t.teardown(() => server.close())
  const metadata = new MemoryMetadata()
  const { mailer, book } = await opened(metadata, server.port)
  for (let index = 0; index < NOTICES_MAX + 7; index++) {
    mailer.notify('raised', alertOf('PASS_FAILED'))
    if (index === 3) await metadata.commit()
  }
  await metadata.commit()
  t.equal(book.waiting.length, NOTICES_MAX)
  t.equal(metadata.records.size, NOTICES_MAX + 1)
  const { mailer: next, book: same } = await opened(metadata, server.port)
  t.equal(same.droppedCount, 7)
  await next.tick(0)
  await next.tick(10 * seconds)
  t.match(server.mails[0]?.text, /7 older messages were dropped/)
  t.equal(same.droppedCount, 0)
})
