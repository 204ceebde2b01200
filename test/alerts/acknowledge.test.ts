// Acknowledged alerts: what goes, what stays, what needs attention again, and what is kept over a restart.

import t from 'tap'
import { AlertBoard, EventLog } from '../../src/alerts/index.ts'
import { MemoryMetadata } from '../helpers/memory-metadata.ts'

async function opened(metadata: MemoryMetadata, nowSeconds = 1000) {
  const touched = (): void => undefined
  const events = new EventLog({ nowSeconds: () => nowSeconds, touched })
  await events.load(metadata)
  const board = new AlertBoard({
    nowSeconds: () => nowSeconds,
    touched,
    record: (code, severity, text) => events.record(code, severity, text),
  })
  await board.load(metadata)
  metadata.participants.splice(0, Number.POSITIVE_INFINITY, events, board)
  return { events, board }
}

t.test('an alert of a one-time event goes, and stays in the events', async t => {
  const metadata = new MemoryMetadata()
  const { board, events } = await opened(metadata)
  board.raise('DATA_LOST', 'Data of inode 7 is lost.', '7')
  board.raise('DATA_LOST', 'Data of inode 8 is lost.', '8')
  t.strictSame(board.acknowledge('DATA_LOST', { subject: '7', note: 'run again' }), {
    acknowledged: 0,
    removed: 1,
  })
  const subjects = (of: AlertBoard) => of.list().map(({ subject }) => subject)
  t.strictSame(subjects(board), ['8'])
  t.strictSame(
    events.select({ count: 10 }).map(({ code, text }) => [code, text]),
    [
      ['DATA_LOST', 'Data of inode 7 is lost.'],
      ['DATA_LOST', 'Data of inode 8 is lost.'],
      ['ALERT_ACKNOWLEDGED', 'The alert DATA_LOST of 7 was acknowledged: run again'],
    ],
  )
  await metadata.commit()
  t.strictSame(subjects((await opened(metadata)).board), ['8'], 'over a restart')
  board.raise('DATA_LOST', 'Data of inode 7 is lost.', '7')
  t.equal(board.list().length, 2, 'it happened again')
})

t.test('a condition stays acknowledged until it ends', async t => {
  const metadata = new MemoryMetadata()
  const first = await opened(metadata)
  first.board.raise('GROUP_LOCKED', 'Locked.', 'a')
  t.strictSame(first.board.acknowledge('GROUP_LOCKED', { subject: 'a', note: 'on purpose' }), {
    acknowledged: 1,
    removed: 0,
  })
  await metadata.commit()

  const { board, events } = await opened(metadata, 2000)
  const known = { subject: 'a', acknowledgedSeconds: 1000, note: 'on purpose' }
  t.match(board.list(), [known])
  t.strictSame(board.counts().warning, { open: 0, acknowledged: 1 })
  board.raise('GROUP_LOCKED', 'Locked, in other words.', 'a')
  t.match(board.list(), [{ ...known, text: 'Locked, in other words.' }], 'raised again')
  board.clear('GROUP_LOCKED', 'a')
  t.match(events.select({ index: -1, count: 1 }), [{ text: 'Over: Locked, in other words.' }])
  board.raise('GROUP_LOCKED', 'Locked.', 'a')
  t.match(board.list(), [{ acknowledgedSeconds: null, note: null, sinceSeconds: 2000 }], 'anew')
})

t.test('a code alone is all alerts of it, also those that are not listed', async t => {
  const { board, events } = await opened(new MemoryMetadata())
  for (let at = 0; at < 250; at++) board.raise('DAMAGED_FILE', `File ${at}.`, String(at))
  board.acknowledge('DAMAGED_FILE', { subject: '3', note: 'mine' })
  t.strictSame(board.acknowledge('DAMAGED_FILE', { note: null }), { acknowledged: 249, removed: 0 })
  t.strictSame(board.counts().critical, { open: 0, acknowledged: 250 })
  t.match(board.overflowOf('DAMAGED_FILE'), { count: 150, acknowledgedCount: 150 })
  const three = board.ofCode('DAMAGED_FILE').find(({ subject }) => subject === '3')
  t.equal(three?.note, 'mine', 'one that was acknowledged before keeps its note')
  t.match(events.select({ index: -1, count: 1 }), [
    { code: 'ALERT_ACKNOWLEDGED', text: '249 alerts DAMAGED_FILE were acknowledged.' },
  ])
  board.raise('DAMAGED_FILE', 'One more.', 'new')
  t.ok(
    board.list().some(({ subject }) => subject === 'new'),
    'acknowledged ones hide no other one',
  )
  t.strictSame(board.acknowledge('DAMAGED_FILE', { note: null }), { acknowledged: 1, removed: 0 })
  t.strictSame(board.acknowledge('DAMAGED_FILE', { note: null }), { acknowledged: 0, removed: 0 })
})

t.test('what does not stand is not found', async t => {
  const { board, events } = await opened(new MemoryMetadata())
  board.raise('GROUP_LOCKED', 'Locked.', 'a')
  const before = events.newest
  for (const [code, subject] of [
    ['SPACE_LOW', undefined],
    ['GROUP_LOCKED', 'b'],
    ['GROUP_LOCKED', null],
    ['NO_SUCH_CODE', undefined],
    ['toString', undefined],
  ] as const) {
    t.throws(() => board.acknowledge(code, { subject, note: null }), { code: 'ALERT_NOT_FOUND' })
  }
  t.equal(events.newest, before)
  t.match(board.list(), [{ acknowledgedSeconds: null }])
})

t.test('alerts about what is gone end, and no others', async t => {
  const { board } = await opened(new MemoryMetadata())
  for (const group of ['a', 'b', 'c']) {
    for (const code of ['QUOTA_NEAR', 'GROUP_LOCKED', 'KEY_ROTATION_OVERDUE'] as const) {
      board.raise(code, 'x', group)
    }
  }
  board.raise('MASS_DELETE', 'x', 'a')
  board.raise('SPACE_LOW', 'x')
  board.endOf('group', 'a')
  t.strictSame(
    board.list().map(({ subject }) => subject),
    ['b', 'b', 'b', 'c', 'c', 'c', 'a', null],
  )
  board.endOfMissing('group', name => name === 'c')
  t.strictSame(
    board.list().map(({ subject }) => subject),
    ['c', 'c', 'c', 'a', null],
  )
  board.endOfMissing('container', () => false)
  t.notOk(board.isRaised('MASS_DELETE', 'a'))
})
