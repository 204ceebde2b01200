// coffer schedule against the real methods on a store in memory.

import t from 'tap'
import { run, serve } from './run.ts'

t.test('windows are added, shown and deleted', async t => {
  const io = await serve(t)
  t.equal((await run('schedule show', io)).out, 'There are no windows.\n')
  t.equal(
    (await run('schedule add --day weekend --cleaner --start 8:05 --stop 20:00', io)).out,
    'Id    : 1\nFor   : cleaner\nDay   : weekend\nStart : 08:05\nStop  : 20:00\n',
  )
  t.match(
    (await run('schedule show', io)).out,
    /Cleaner Open +: no\nCleaner Next +: 1, at Saturday 2026-11-28 08:05/,
  )
  // QoreStor's spelling; it passes midnight and is open.
  const add = 'schedule --add --day sunday --cleaner --start 22:00 --stop 04:00'
  t.equal((await run(add, io)).status, 0)
  const scan = 'schedule add --day monday --scan --start 06:00 --stop 18:00'
  t.equal((await run(scan, io)).status, 0)
  t.equal(
    (await run('schedule --show', io)).out,
    'Id  For      Day      Start  Stop\n' +
      ' 1  cleaner  weekend  08:05  20:00\n' +
      ' 2  cleaner  sunday   22:00  04:00\n' +
      ' 3  scan     monday   06:00  18:00\n' +
      '\n' +
      'Time Zone    : Europe/Berlin\n' +
      'Cleaner Open : 2, until Monday 2026-11-23 04:00\n' +
      'Cleaner Next : 1, at Saturday 2026-11-28 08:05\n' +
      'Scan Open    : no\n' +
      'Scan Next    : 3, at Monday 2026-11-23 06:00\n',
  )
  const { open, next } = JSON.parse((await run('schedule show --json', io)).out)
  t.same(open, { id: 2, opensAt: '2026-11-22T21:00:00.000Z', closesAt: '2026-11-23T03:00:00.000Z' })
  t.equal(next.opensAt, '2026-11-28T07:05:00.000Z')
  t.equal((await run('schedule --delete 2', io)).out, 'Window 2 is deleted.\n')
  t.notMatch((await run('schedule show', io)).out, 'sunday')
})

t.test('what is wrong is said', async t => {
  const io = await serve(t)
  const add = 'schedule add --day monday --cleaner --start 01:00 --stop'
  await run(`${add} 02:00`, io)
  const cases: [line: string, status: number, err: RegExp][] = [
    [`${add} 02:00`, 1, /Window 1 says the same already/],
    [`${add} 01:00`, 1, /A window that stops when it starts is empty/],
    [`${add} 24:00`, 2, /stop: is not a time; write hh:mm/],
    [`${add} noon`, 2, /stop: is not a time; write hh:mm/],
    [`${add} 2`, 2, /stop: is not a time; write hh:mm/],
    [`${add}`, 2, /stop/],
    ['schedule add --day monday --start 01:00 --stop 03:00', 2, /--cleaner or --scan/],
    [
      'schedule add --day monday --cleaner --scan --start 01:00 --stop 03:00',
      2,
      /--cleaner or --scan/,
    ],
    ['schedule add --day moonday --cleaner --start 01:00 --stop 03:00', 2, /day.*moonday/],
    ['schedule add --cleaner --start 01:00 --stop 03:00', 2, /day/],
    ['schedule delete 7', 1, /There is no window 7/],
    ['schedule delete 0', 2, /"0" is not the number of a window/],
    ['schedule delete x', 2, /"x" is not the number of a window/],
    ['schedule', 2, /schedule show, add or delete/],
  ]
  for (const [line, status, err] of cases) {
    const outcome = await run(line, io)
    t.match(outcome, { status, err, out: '' }, line)
  }
})
