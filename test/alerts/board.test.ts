// Alerts and events over restarts: raised once, one a subject, every change an event, the history bounded.

import { readFile } from 'node:fs/promises'
import t from 'tap'
import { ALERT_CODES, ALERT_KINDS, AlertBoard, EventLog } from '../../src/alerts/index.ts'
import { EVENTS_MAX } from '../../src/alerts/event-log.ts'
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

t.test('an alert is raised once a subject, kept over a restart, and cleared', async t => {
  const metadata = new MemoryMetadata()
  const first = await opened(metadata)
  first.board.raise('GROUP_LOCKED', 'Group a is locked.', 'a')
  first.board.raise('GROUP_LOCKED', 'Group b is locked.', 'b')
  first.board.raise('GROUP_LOCKED', 'Group b is locked.', 'b')
  first.board.clear('SPACE_LOW')
  await metadata.commit()

  const second = await opened(metadata, 2000)
  t.match(second.board.list(), [
    { code: 'GROUP_LOCKED', subject: 'a', sinceSeconds: 1000, severity: 'warning' },
    { code: 'GROUP_LOCKED', subject: 'b', sinceSeconds: 1000, whatToDo: /unlock NAME/ },
  ])
  second.board.clear('GROUP_LOCKED', 'a')
  t.notOk(second.board.isRaised('GROUP_LOCKED', 'a'))
  await metadata.commit()

  const third = await opened(metadata)
  t.equal(third.board.list().length, 1)
  t.strictSame(
    third.events.select({ count: 10 }).map(({ index, text }) => [index, text]),
    [
      [1, 'Group a is locked.'],
      [2, 'Group b is locked.'],
      [3, 'Over: Group a is locked.'],
    ],
  )
})

t.test('records of the first version are read, those of an unknown one refused', async t => {
  const metadata = new MemoryMetadata()
  const record = Buffer.concat([
    Buffer.of(1),
    Buffer.from('{"severity":"critical","text":"Damaged.","sinceSeconds":5}'),
  ])
  metadata.records.set('ADAMAGED_BLOCK_7', record)
  const { board } = await opened(metadata)
  t.match(board.list(), [{ code: 'DAMAGED_BLOCK', subject: '7', text: 'Damaged.' }])
  await metadata.commit()
  t.strictSame([...metadata.records.keys()], ['ADAMAGED_BLOCK 7'])

  record[0] = 9
  metadata.records.set('ASPACE_LOW', record)
  await t.rejects(opened(metadata), { code: 'UNKNOWN_VERSION' })
})

t.test('the history is bounded and read from either end', async t => {
  const metadata = new MemoryMetadata()
  const { events } = await opened(metadata)
  for (let index = 1; index <= EVENTS_MAX + 50; index++) {
    events.record('CLEANER_PASS', 'info', `pass ${index}`)
    if (index % 4000 === 0) await metadata.commit()
  }
  await metadata.commit()
  t.equal(metadata.records.size, EVENTS_MAX)
  const again = (await opened(metadata)).events
  const indices = (index: number | undefined, count: number) =>
    again.select({ ...(index !== undefined && { index }), count }).map(event => event.index)
  t.strictSame(indices(undefined, 2), [EVENTS_MAX + 49, EVENTS_MAX + 50])
  t.strictSame(indices(-3, 2), [EVENTS_MAX + 48, EVENTS_MAX + 49])
  t.strictSame(indices(1, 2), [51, 52], 'what is gone is skipped')
  t.strictSame(indices(EVENTS_MAX + 51, 2), [])
  again.record('CLEANER_PASS', 'info', 'next')
  t.strictSame(indices(-1, 5), [EVENTS_MAX + 51], 'numbers go on')
})

t.test('docs/alerts.md lists every kind with its severity', async t => {
  const path = new URL('../../../docs/alerts.md', import.meta.url)
  const rows = (await readFile(path, 'utf8'))
    .split('\n')
    .filter(line => line.startsWith('| `'))
    .map(line => line.split('|').map(cell => cell.trim()))
  t.strictSame(
    rows.map(([, code, severity, title]) => [code, severity, title]),
    ALERT_CODES.map(code => [`\`${code}\``, ALERT_KINDS[code].severity, ALERT_KINDS[code].title]),
  )
})
