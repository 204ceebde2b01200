// Alerts are bounded a code: every code can always be raised, counts are exact, and a restart loses nothing.

import * as fc from 'fast-check'
import t from 'tap'
import { AlertBoard, EventLog, MailBook, Mailer } from '../../src/alerts/index.ts'
import type { Alert, AlertCode } from '../../src/alerts/index.ts'
import { KNOWN_PER_CODE_MAX, LISTED_PER_CODE_MAX } from '../../src/alerts/code-alerts.ts'
import { isFact } from '../../src/alerts/kinds.ts'
import type { MailMessage } from '../../src/alerts/mail-text.ts'
import { MemoryMetadata } from '../helpers/memory-metadata.ts'

const CODES = ['DAMAGED_BLOCK', 'DATA_LOST', 'GROUP_LOCKED', 'STORE_READ_ONLY'] as const
const SUBJECTS = 260
const touched = (): void => undefined

async function opened(metadata: MemoryMetadata, told: string[] = []) {
  const events = new EventLog({ nowSeconds: () => 1000, touched })
  await events.load(metadata)
  const board = new AlertBoard({
    nowSeconds: () => 1000,
    touched,
    record: (code, severity, text) => events.record(code, severity, text),
    notify: (change, { code, subject }) => told.push(`${change} ${code} ${subject}`),
  })
  await board.load(metadata)
  metadata.participants.splice(0, Number.POSITIVE_INFINITY, events, board)
  return { board, events }
}

function subjectsOf(alerts: readonly Alert[], code: AlertCode): (string | null)[] {
  return alerts.filter(alert => alert.code === code).map(({ subject }) => subject)
}

/** What the board has to be: for each code what needs attention and what is acknowledged, both in order. */
class Model {
  readonly open = new Map<AlertCode, string[]>()
  readonly acknowledged = new Map<AlertCode, string[]>()

  raise(code: AlertCode, subject: string): void {
    if (!this.isRaised(code, subject)) this.of('open', code).push(subject)
  }

  clear(code: AlertCode, subject: string): void {
    for (const map of ['open', 'acknowledged'] as const) {
      const all = this.of(map, code)
      if (all.includes(subject)) all.splice(all.indexOf(subject), 1)
    }
  }

  acknowledge(code: AlertCode, subject: string | undefined): void {
    const chosen = subject === undefined ? [...this.of('open', code)] : [subject]
    for (const each of chosen) {
      this.clear(code, each)
      if (!isFact(code)) this.of('acknowledged', code).push(each)
    }
  }

  isRaised(code: AlertCode, subject: string): boolean {
    return [...this.of('open', code), ...this.of('acknowledged', code)].includes(subject)
  }

  of(state: 'open' | 'acknowledged', code: AlertCode): string[] {
    const map = this[state]
    const all = map.get(code) ?? []
    map.set(code, all)
    return all
  }
}

function compare(t: Tap, board: AlertBoard, model: Model): void {
  const listed = board.list()
  for (const code of CODES) {
    const shown = listed.filter(alert => alert.code === code)
    const open = model.of('open', code)
    const acknowledged = model.of('acknowledged', code)
    const named = (isOpen: boolean) =>
      shown
        .filter(({ acknowledgedSeconds }) => (acknowledgedSeconds === null) === isOpen)
        .map(({ subject }) => subject ?? '')
    t.strictSame(named(true), open.slice(0, LISTED_PER_CODE_MAX), `${code} listed`)
    t.strictSame(named(false), acknowledged.slice(0, LISTED_PER_CODE_MAX), `${code} acknowledged`)
    const acknowledgedCount = Math.max(0, acknowledged.length - LISTED_PER_CODE_MAX)
    const count = Math.max(0, open.length - LISTED_PER_CODE_MAX) + acknowledgedCount
    const overflow = { code, count, acknowledgedCount, isAtLeast: false }
    t.strictSame(board.overflowOf(code), count === 0 ? undefined : overflow, `${code} more`)
    t.equal(board.ofCode(code).length, open.length + acknowledged.length)
  }
}
type Tap = Pick<typeof t, 'strictSame' | 'equal'>

/** A fast-check property fails by exceptions. */
const throwing: Tap = {
  strictSame: (a: unknown, b: unknown, message?: unknown) => {
    if (JSON.stringify(a) === JSON.stringify(b)) return true
    throw new Error(`${String(message)}: ${JSON.stringify(a)} is not ${JSON.stringify(b)}`)
  },
  equal: (a: unknown, b: unknown) => {
    if (a === b) return true
    throw new Error(`${String(a)} is not ${String(b)}`)
  },
} as unknown as Tap

const code = fc.constantFrom(...CODES)
const subject = fc.integer({ min: 0, max: SUBJECTS - 1 })
const step = fc.oneof(
  // Ranges, so that bounds are crossed within a short history.
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constant('raise' as const),
      code,
      from: subject,
      count: subject,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant('clear' as const),
      code,
      from: subject,
      count: subject,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant('acknowledge' as const),
      code,
      from: subject,
      count: fc.nat(40),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      act: fc.constant('acknowledge all' as const),
      code,
      from: subject,
      count: subject,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      act: fc.constant('restart' as const),
      code,
      from: subject,
      count: subject,
    }),
  },
)

t.test('any history is what a simple model says, over restarts', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async steps => {
      const metadata = new MemoryMetadata()
      const model = new Model()
      let { board } = await opened(metadata)
      for (const { act, code, from, count } of steps) {
        if (act === 'restart') {
          await metadata.commit()
          board = (await opened(metadata)).board
        } else if (act === 'acknowledge all') {
          if (board.isAnyRaised(code)) {
            board.acknowledge(code, { note: null })
            model.acknowledge(code, undefined)
          }
        } else {
          for (let at = from; at < Math.min(SUBJECTS, from + count); at++) {
            const subject = String(at)
            if (act === 'raise') {
              board.raise(code, `Text of ${subject}.`, subject)
              model.raise(code, subject)
            } else if (act === 'clear') {
              board.clear(code, subject)
              model.clear(code, subject)
            } else if (model.isRaised(code, subject)) {
              board.acknowledge(code, { subject, note: 'seen' })
              model.acknowledge(code, subject)
            }
          }
        }
        compare(throwing, board, model)
      }
      await metadata.commit()
      compare(throwing, (await opened(metadata)).board, model)
    }),
    { numRuns: 60 },
  )
})

t.test('1,001 damaged block files leave room for every other code, and it is mailed', async t => {
  const metadata = new MemoryMetadata()
  const book = new MailBook(touched)
  const mails: MailMessage[] = []
  const board: AlertBoard = new AlertBoard({
    nowSeconds: () => 1000,
    touched,
    record: () => undefined,
    notify: (change, alert) => mailer.notify(change, alert),
  })
  const mailer = new Mailer({
    book,
    place: { host: 'h', store: '/s' },
    nowSeconds: () => 1000,
    deliver: async (_settings, message) => void mails.push(message),
    raise: touched,
    clear: touched,
    commit: () => metadata.commit(),
    overflowOf: code => board.overflowOf(code),
  })
  book.configure({
    relay: 'r',
    port: 25,
    tls: 'none',
    user: null,
    senderName: 'n',
    sender: 's@example.com',
    to: ['t@example.com'],
    cc: [],
    bcc: [],
  })
  book.setEnabled(true)
  for (let block = 1; block <= 1001; block++) {
    board.raise('DAMAGED_BLOCK', `Block file ${block} is damaged.`, String(block))
  }
  board.raise('STORE_READ_ONLY', 'The store is read-only.')
  t.ok(board.isRaised('STORE_READ_ONLY'))
  t.equal(subjectsOf(board.list(), 'STORE_READ_ONLY').length, 1)
  t.equal(subjectsOf(board.list(), 'DAMAGED_BLOCK').length, LISTED_PER_CODE_MAX)
  t.match(board.overflowOf('DAMAGED_BLOCK'), { count: 901, isAtLeast: false })
  t.equal(book.waiting.length, LISTED_PER_CODE_MAX + 2, 'each listed one, one for the rest')
  for (let now = 0; now < 200_000; now += 5000) await mailer.tick(now)
  t.match(mails.at(-1)?.text, /The store is read-only/)
  t.match(mails[0]?.text, /^\[DAMAGED_BLOCK\] and 901 more$/m)
  const all = mails.map(({ text }) => text).join('')
  t.equal(all.match(/More than 100 alerts of this code stand/g)?.length, 1)
})

t.test('a million damaged files take bounded memory and a bounded commit', async t => {
  const metadata = new MemoryMetadata()
  const { board, events } = await opened(metadata)
  for (let inode = 0; inode < 1_000_000; inode++) {
    board.raise('DAMAGED_FILE', `Inode ${inode} can't be read.`, String(inode))
  }
  t.equal(board.ofCode('DAMAGED_FILE').length, KNOWN_PER_CODE_MAX)
  const overflow = { count: KNOWN_PER_CODE_MAX - LISTED_PER_CODE_MAX, isAtLeast: true }
  t.match(board.overflowOf('DAMAGED_FILE'), overflow)
  t.ok(events.select({ count: 1000 }).length <= LISTED_PER_CODE_MAX + 1, 'nor are events flooded')
  await metadata.commit()
  t.ok(metadata.records.size <= KNOWN_PER_CODE_MAX + 2 * LISTED_PER_CODE_MAX)
  const again = (await opened(metadata)).board
  t.match(again.overflowOf('DAMAGED_FILE'), overflow, 'over a restart')
  again.clear('DAMAGED_FILE', '999999')
  t.match(again.overflowOf('DAMAGED_FILE'), overflow, 'what is not remembered is not counted')
  for (const { subject } of again.ofCode('DAMAGED_FILE')) again.clear('DAMAGED_FILE', subject)
  t.equal(again.overflowOf('DAMAGED_FILE'), undefined, 'over with the last one')
  await metadata.commit()
  t.equal((await opened(metadata)).board.overflowOf('DAMAGED_FILE'), undefined)
})

t.test('when all is raised anew, what found no room counts again', async t => {
  const { board } = await opened(new MemoryMetadata())
  for (let at = 0; at <= KNOWN_PER_CODE_MAX; at++) board.raise('DAMAGED_FILE', 'x', String(at))
  t.match(board.overflowOf('DAMAGED_FILE'), { isAtLeast: true })
  for (let at = 50; at < KNOWN_PER_CODE_MAX; at++) board.clear('DAMAGED_FILE', String(at))
  t.match(board.overflowOf('DAMAGED_FILE'), { count: 0, isAtLeast: true })
  board.countAnew('DAMAGED_FILE')
  t.equal(board.overflowOf('DAMAGED_FILE'), undefined)
})

t.test('what is told when it is raised is told when it ends, and nothing else is', async t => {
  const told: string[] = []
  const metadata = new MemoryMetadata()
  const { board } = await opened(metadata, told)
  for (let at = 0; at < 150; at++) board.raise('DAMAGED_FILE', `File ${at}.`, String(at))
  board.raise('DAMAGED_FILE', 'File 149 again.', '149')
  t.equal(told.length, LISTED_PER_CODE_MAX + 1)
  t.equal(told.at(-1), 'raised DAMAGED_FILE null')
  await metadata.commit()
  const later: string[] = []
  const { board: again, events } = await opened(metadata, later)
  again.clear('DAMAGED_FILE', '149')
  t.strictSame(later, [], 'a counted one')
  again.clear('DAMAGED_FILE', '0')
  t.strictSame(later, ['cleared DAMAGED_FILE 0'])
  t.ok(subjectsOf(again.list(), 'DAMAGED_FILE').includes('100'), 'the next one has its place')
  again.clear('DAMAGED_FILE', '100')
  t.equal(later.length, 1, 'which nobody was told of')
  for (let at = 1; at < 149; at++) again.clear('DAMAGED_FILE', String(at))
  t.equal(later.length, LISTED_PER_CODE_MAX)
  t.equal(events.select({ count: 1000 }).filter(({ text }) => /listed again/.test(text)).length, 1)
})

t.test('a store with 1,000 alerts of one code of the second version', async t => {
  const metadata = new MemoryMetadata()
  for (let block = 0; block < 1000; block++) {
    const text = `{"code":"DAMAGED_BLOCK","subject":"${block}","text":"x","sinceSeconds":${5000 - block}}`
    metadata.records.set(
      `ADAMAGED_BLOCK ${block}`,
      Buffer.concat([Buffer.of(2), Buffer.from(text)]),
    )
  }
  const { board } = await opened(metadata)
  t.equal(board.ofCode('DAMAGED_BLOCK').length, 1000)
  t.match(board.overflowOf('DAMAGED_BLOCK'), { count: 900, isAtLeast: false })
  t.equal(board.list()[0]?.subject, '999', 'the oldest first')
  const before = board.list()
  board.raise('STORE_READ_ONLY', 'x')
  await metadata.commit()
  t.equal([...metadata.records.values()].filter(([version]) => version === 2).length, 0)
  const again = (await opened(metadata)).board
  t.strictSame(subjectsOf(again.list(), 'DAMAGED_BLOCK'), subjectsOf(before, 'DAMAGED_BLOCK'))
  t.ok(again.isRaised('STORE_READ_ONLY'))
})
