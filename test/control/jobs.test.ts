// Watching jobs over the control socket: by those who read, by those who don't, and by those who leave.

import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import t from 'tap'
import type { Test } from 'tap'

import { connectControl } from '../../src/control/client.ts'
import type { JobProgress } from '../../src/control/methods.ts'
import { startControlServer } from '../../src/control/server.ts'
import type { ControlCaller } from '../../src/control/target.ts'
import { JobBoard } from '../../src/daemon/job-board.ts'
import { jobMethods } from '../../src/daemon/job-methods.ts'
import { CofferError } from '../../src/errors.ts'
import { fakeTarget } from './fake-target.ts'

async function serve(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-jobs-'))
  const path = join(folder, 'sock')
  const board = new JobBoard(() => performance.now() / 1000)
  const target = fakeTarget({}, board)
  const callers: ControlCaller[] = []
  const watch = target['jobs.watch']
  target['jobs.watch'] = async (params, caller) => {
    callers.push(caller)
    return await watch(params, caller)
  }
  const server = await startControlServer(path, target)
  let isOpen = true
  const close = async () => {
    if (isOpen) await server.close()
    isOpen = false
  }
  t.teardown(async () => {
    await close()
    await rm(folder, { recursive: true })
  })
  return { path, board, close, callers }
}

async function connected(t: Test, path: string) {
  const client = await connectControl(path)
  t.teardown(() => client.close())
  return client
}

t.test('jobs are listed with what they do and how they ended', async t => {
  const { path, board } = await serve(t)
  const client = await connected(t, path)
  t.strictSame(await client.call('jobs.list', {}), { jobs: [] })
  board.begin('reclaim-space', 'Reclaim space').finish('2 GiB are free again.')
  board.begin('scan', 'Scan').fail(new CofferError('GROUP_LOCKED', 'Locked.'))
  const runs = board.begin('scan', 'Scan')
  runs.report({ phase: 'read', doneBytes: 10, totalBytes: 40 })
  t.match(await client.call('jobs.list', {}), {
    jobs: [
      { id: 1, kind: 'reclaim-space', state: 'finished', end: { text: '2 GiB are free again.' } },
      { id: 2, state: 'failed', end: { code: 'GROUP_LOCKED', message: 'Locked.' } },
      {
        id: 3,
        state: 'running',
        endedAt: null,
        end: null,
        progress: { phase: 'read', text: null },
      },
    ],
  })
  t.strictSame(await client.watch(1, () => undefined), {
    state: 'finished',
    text: '2 GiB are free again.',
  })
  await t.rejects(
    client.watch(4, () => undefined),
    { code: 'JOB_NOT_FOUND' },
  )
})

t.test('a watcher hears of progress now and then, of the last, and of the end', async t => {
  const { path, board } = await serve(t)
  const job = board.begin('scan', 'Scan')
  const other = board.begin('scan', 'Another')
  job.report({ phase: 'read', doneBytes: 0, totalBytes: 500 })
  const client = await connected(t, path)
  const told: JobProgress[] = []
  const watching = client.watch(job.id, progress => told.push(progress))
  const otherEnd = client.watch(other.id, () => t.fail('the other job told nothing'))
  const beganAt = performance.now()
  for (let doneBytes = 1; doneBytes <= 500; doneBytes++) {
    job.report({ phase: 'read', doneBytes, totalBytes: 500, text: `block ${doneBytes}` })
    await sleep(1)
  }
  const seconds = (performance.now() - beganAt) / 1000
  job.fail(new CofferError('DISK_FULL', 'The disk is full.'))
  t.strictSame(await watching, {
    state: 'failed',
    code: 'DISK_FULL',
    message: 'The disk is full.',
  })
  t.ok(told.length >= 2 && told.length <= 3 + seconds * 4, `${told.length} in ${seconds} s`)
  t.match(told[0], { id: job.id, phase: 'read', totalBytes: 500 })
  t.match(told.at(-1), { doneBytes: 500, text: 'block 500' })
  t.ok(told.some(({ etaSeconds }) => etaSeconds !== null))
  t.match(await client.call('system.status', {}), { version: '0.1.0' }, 'calls go on beside it')
  other.finish('')
  t.strictSame(await otherEnd, { state: 'finished', text: '' })
})

t.test('a client that reads nothing is told no more than fits', async t => {
  const { path, board } = await serve(t)
  const job = board.begin('scan', 'Scan')
  const socket = connect(path)
  t.teardown(() => socket.destroy())
  socket.pause()
  const request = { jsonrpc: '2.0', id: 'watch', method: 'jobs.watch', params: { id: job.id } }
  // More than the kernel keeps for it, so that the rest waits in the daemon; before the watch, whose news could be with the
  // kernel already otherwise.
  const big = '{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}\n'
  socket.write(`${big.repeat(15)}${JSON.stringify(request)}\n`)
  const client = await connected(t, path)
  const told: JobProgress[] = []
  const watching = client.watch(job.id, progress => told.push(progress))
  // A machine under load takes its time for what was asked for before the watch.
  for (let doneBytes = 0; doneBytes < 10 || told.length < 2; doneBytes++) {
    job.report({ phase: 'read', doneBytes, totalBytes: 1e6, text: 'x'.repeat(2000) })
    await sleep(60)
  }
  job.finish('Done.')
  t.match(await watching, { state: 'finished' }, 'others are not held up')
  t.ok(told.length > 1)
  let text = ''
  socket.on('data', chunk => (text += chunk.toString()))
  socket.resume()
  while (!text.includes('"id":"watch"')) await sleep(2)
  const news = text.split('"method":"jobs.progress"').length - 1
  t.ok(news <= 1, `${news} waited for it`)
  t.match(text, /"id":"watch","result":\{"state":"finished","text":"Done\."\}/)
})

t.test('a watcher that leaves is forgotten, and the job goes on', async t => {
  const { path, board, callers } = await serve(t)
  const job = board.begin('scan', 'Scan')
  const leaver = await connectControl(path)
  const left = leaver.watch(job.id, () => undefined)
  await leaver.call('system.status', {})
  leaver.close()
  await t.rejects(left, { code: 'CONNECTION_LOST' })
  while (callers[0]?.gone.aborted !== true) await sleep(2)
  const client = await connected(t, path)
  const end = client.watch(job.id, () => undefined)
  job.report({ phase: 'read', doneBytes: 1, totalBytes: 2 })
  job.finish('Done.')
  t.match(await end, { state: 'finished', text: 'Done.' })
})

t.test('nothing is told to a caller that is gone', async t => {
  const board = new JobBoard(() => 0)
  const job = board.begin('scan', 'Scan')
  const gone = new AbortController()
  let isSlow = true
  let told = 0
  const caller: ControlCaller = {
    gone: gone.signal,
    notify: () => {
      if (!isSlow) told += 1
      return !isSlow
    },
  }
  job.report({ phase: 'read', doneBytes: 1, totalBytes: 2 })
  const watching = jobMethods(board)['jobs.watch']({ id: job.id }, caller)
  isSlow = false
  await sleep(300)
  t.equal(told, 1, 'what could not be sent is sent later')
  await sleep(300)
  t.equal(told, 1, 'and only once')
  gone.abort(new CofferError('CLIENT_GONE', 'x'))
  await t.rejects(watching, { code: 'CLIENT_GONE' })
  job.report({ phase: 'read', doneBytes: 2, totalBytes: 2 })
  await sleep(300)
  t.equal(told, 1)
  await t.rejects(jobMethods(board)['jobs.watch']({ id: job.id }, caller), { code: 'CLIENT_GONE' })
})

t.test('a server that ends does not wait for jobs', async t => {
  const { path, board, close } = await serve(t)
  const job = board.begin('scan', 'Scan')
  const client = await connectControl(path)
  const watching = client.watch(job.id, () => undefined)
  await client.call('system.status', {})
  const beganAt = performance.now()
  const refused = t.rejects(watching, { code: 'DAEMON_ENDS' })
  await close()
  await refused
  t.ok(performance.now() - beganAt < 2000)
})

t.test('a client passes over news that it does not know', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-jobs-'))
  t.teardown(async () => await rm(folder, { recursive: true }))
  const { createServer } = await import('node:net')
  const lines = [
    '{"jsonrpc":"2.0","method":"jobs.sneeze","params":[1]}',
    '{"jsonrpc":"2.0","method":"jobs.progress","params":{"id":"one"}}',
    '{"jsonrpc":"2.0","id":1,"result":{"alerts":[]}}',
  ]
  const server = createServer(socket =>
    socket.once('data', () => socket.end(lines.join('\n') + '\n')),
  )
  const path = join(folder, 'sock')
  await new Promise<void>(resolve => server.listen(path, resolve))
  const client = await connectControl(path)
  t.strictSame(await client.call('alerts.show', {}), { alerts: [] })
  client.close()
  await new Promise<void>(resolve => server.close(() => resolve()))
})
