// Jobs on the command line: the list, the bar, the lines, and what scripts get.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

import t from 'tap'
import type { Test } from 'tap'

import { runCli } from '../../src/cli/cli.ts'
import type { CliIo } from '../../src/cli/io.ts'
import { describeProgress } from '../../src/cli/progress.ts'
import { startControlServer } from '../../src/control/server.ts'
import { JobBoard } from '../../src/daemon/job-board.ts'
import { CofferError } from '../../src/errors.ts'
import { fakeTarget } from '../control/fake-target.ts'

const MEBIBYTE = 2 ** 20

async function serve(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-cli-jobs-'))
  const path = join(folder, 'sock')
  const clock = { seconds: 1_767_323_045 }
  const board = new JobBoard(() => clock.seconds)
  const target = fakeTarget({}, board)
  let watchers = 0
  const watch = target['jobs.watch']
  target['jobs.watch'] = async (params, caller) => {
    watchers += 1
    return await watch(params, caller)
  }
  const server = await startControlServer(path, target)
  t.teardown(async () => {
    await server.close()
    await rm(folder, { recursive: true })
  })
  const run = async (line: string, terminal?: PassThrough) => {
    const outcome = { status: 0, out: '', err: '' }
    const io: Partial<CliIo> = {
      env: { COFFER_SOCKET: path },
      isRoot: false,
      out: text => (outcome.out += text),
      err: text => (outcome.err += text),
      terminal,
    }
    outcome.status = await runCli(line.split(' '), io as CliIo)
    return outcome
  }
  const watched = async (count: number) => {
    while (watchers < count) await sleep(2)
  }
  return { board, clock, run, watched }
}

/** Keeps what is drawn on it. */
function terminalOf() {
  const terminal = Object.assign(new PassThrough(), { isTTY: true, columns: 80, drawn: '' })
  terminal.on('data', (chunk: Buffer) => (terminal.drawn += chunk.toString()))
  return terminal
}

t.test('the list', async t => {
  const { board, clock, run } = await serve(t)
  t.match((await run('jobs show')).out, /^No job runs/)
  board.begin('reclaim-space', 'Reclaim space').finish('2.00 GiB are free again.')
  board.begin('scan', 'Scan of a\u001b[31m').fail(new CofferError('GROUP_LOCKED', 'Locked.'))
  board.begin('scan', 'Not begun')
  const job = board.begin('scan', 'Scan of b')
  job.report({ phase: 'read', doneBytes: 0, totalBytes: 40 * MEBIBYTE })
  clock.seconds += 10
  job.report({ phase: 'read', doneBytes: 10 * MEBIBYTE, totalBytes: 40 * MEBIBYTE })
  const { out } = await run('jobs show')
  t.match(out, /^Id +Kind +State +Started +Title +Latest\n/)
  t.match(out, / 1 +reclaim-space +finished +2026-\S+ +Reclaim space +2.00 GiB are free again\.\n/)
  t.match(out, /Scan of a\\x1b\[31m +GROUP_LOCKED: Locked\.\n/, 'nothing steers the terminal')
  t.match(out, /Scan of b +read: 10.00 MiB of 40.00 MiB \(25 %\), 30s left\n/)
  t.equal(JSON.parse((await run('jobs show --json')).out).jobs.length, 4)
})

t.test('progress in words', async t => {
  const progress = { phase: 'read', doneBytes: 0, totalBytes: 0, etaSeconds: null, text: null }
  t.equal(describeProgress(progress), '0 B')
  t.equal(describeProgress({ ...progress, doneBytes: 2048 }), '2.00 KiB')
  t.equal(
    describeProgress({
      ...progress,
      doneBytes: 999,
      totalBytes: 1000,
      etaSeconds: 61,
      text: 'a\nb',
    }),
    '999 B of 1000 B (99 %), 1m 01s left, a\\nb',
  )
  t.match(describeProgress({ ...progress, doneBytes: 9, totalBytes: 5 }), /\(100 %\)/)
})

t.test('without a terminal there is a line a phase, and the result on stdout', async t => {
  const { board, run, watched } = await serve(t)
  const job = board.begin('scan', 'Scan')
  const watching = run(`jobs watch ${job.id}`)
  await watched(1)
  for (const phase of ['read', 'compare']) {
    for (let doneBytes = 1; doneBytes <= 4; doneBytes++) {
      job.report({ phase, doneBytes, totalBytes: 4 })
      await sleep(100)
    }
  }
  job.finish('All is well.\nNothing was\tdamaged.')
  const { status, out, err } = await watching
  t.equal(status, 0)
  t.equal(out, 'All is well.\nNothing was\\tdamaged.\n')
  t.match(err, /^read: \d B of 4 B \(\d+ %\).*\ncompare: \d B of 4 B \(\d+ %\).*\n$/)
})

t.test('a job that failed fails the command with its words', async t => {
  const { board, run, watched } = await serve(t)
  const job = board.begin('scan', 'Scan')
  const watching = [run(`jobs watch ${job.id}`), run(`jobs watch ${job.id} --json`, terminalOf())]
  await watched(2)
  job.report({ phase: 'read', doneBytes: 1, totalBytes: 4 })
  job.fail(new CofferError('DISK_FULL', 'The disk is full.'))
  const [plain, json] = await Promise.all(watching)
  t.match(plain, { status: 1, out: '', err: /^read: .*\ncoffer: The disk is full\.\n$/ })
  t.match(json, { status: 1, err: 'coffer: The disk is full.\n' })
  t.strictSame(JSON.parse(json?.out ?? ''), {
    state: 'failed',
    code: 'DISK_FULL',
    message: 'The disk is full.',
  })
})

t.test('on a terminal there is a bar a phase', async t => {
  const { board, run, watched } = await serve(t)
  const job = board.begin('scan', 'Scan')
  job.report({ phase: 'count', doneBytes: 0, totalBytes: 0 })
  const terminal = terminalOf()
  const watching = run(`jobs watch ${job.id}`, terminal)
  await watched(1)
  await sleep(50)
  job.report({ phase: 'read', doneBytes: 2, totalBytes: 4, text: '$& {bar}' })
  await sleep(400)
  job.report({ phase: 'read', doneBytes: 4, totalBytes: 4, text: 'x'.repeat(200) })
  job.finish('Done.')
  t.match(await watching, { status: 0, out: 'Done.\n', err: '' })
  t.match(terminal.drawn, 'count [------------------------------] 0 B')
  t.match(terminal.drawn, 'read [===============---------------] 2 B of 4 B (50 %), $& {bar}')
  t.match(terminal.drawn, 'read [==============================] 4 B of 4 B (100 %), x')
  t.notMatch(terminal.drawn, 'x'.repeat(60), 'a long line is cut')
  // oxlint-disable-next-line no-control-regex
  t.notMatch(terminal.drawn, /\u001b\[\?/, 'no setting of the terminal is changed')
  t.ok(terminal.drawn.endsWith('\n'))
})

t.test('what is no job', async t => {
  const { run } = await serve(t)
  t.match(await run('jobs watch 7'), { status: 1, err: /There is no job 7; .*jobs show/ })
  for (const id of ['x', '0', '1.5', '9'.repeat(16)]) {
    t.match(await run(`jobs watch ${id}`), { status: 2, err: /is no number of a job/ }, id)
  }
  t.match(await run('jobs'), { status: 2, err: /jobs show or watch/ })
})
