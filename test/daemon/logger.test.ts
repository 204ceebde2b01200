// The lines of the daemon's log: the journal's priorities, stacks of internal errors, and how many.

import { execFile } from 'node:child_process'
import { pino } from 'pino'
import t from 'tap'
import { LineQuota } from '../../src/daemon/line-quota.ts'
import { journalStream, stackOf } from '../../src/daemon/logger.ts'
import { BARE_NODE } from '../helpers/bare-node.ts'

const LOGGER = new URL('../../src/daemon/logger.js', import.meta.url)

t.test("each level gets syslog's number", async t => {
  const lines: string[] = []
  const log = pino(
    { level: 'debug', base: null },
    journalStream(line => void lines.push(line)),
  )
  log.error('a')
  log.warn('b')
  log.info('c')
  log.debug('d')
  t.strictSame(
    lines.map(line => line.slice(0, 4)),
    ['<3>{', '<4>{', '<6>{', '<7>{'],
  )
})

t.test('stackOf tells errors and causes, and no other property', async t => {
  const cause = Object.assign(new Error('the disk'), { password: 'hunter2' })
  const text = stackOf(new TypeError('it failed', { cause }))
  t.match(text, /TypeError: it failed\n +at [^]*caused by Error: the disk\n/)
  t.notMatch(text, /hunter2/)
  t.notMatch(stackOf('hunter2'), /hunter2/)
})

t.test('LineQuota leaves lines out, and tells how many', async t => {
  const quota = new LineQuota()
  const take = (nowMs: number) => quota.take('place', nowMs)
  for (let line = 0; line < 10; line++) t.equal(take(line), 0)
  t.equal(take(20), undefined)
  t.equal(take(30), undefined)
  t.equal(quota.take('other', 30), 0)
  t.equal(take(60_001), 2)
  t.equal(take(60_002), 0)
  for (let each = 0; each < 10_000; each++) quota.take(`place ${each}`, 61_000)
  t.equal(quota.take('one more', 61_000), undefined, 'places are bounded')
})

for (const [origin, failing] of [
  ['uncaughtException', "setTimeout(() => { throw new Error('broken') })"],
  ['unhandledRejection', "void Promise.reject(new Error('broken'))"],
] as const) {
  t.test(`logFatalErrors: ${origin} is a line before the process ends`, async t => {
    const script = `
      import { createLogger, logFatalErrors } from '${LOGGER.href}'
      logFatalErrors(createLogger('info', {}))
      ${failing}`
    const args = [...BARE_NODE, '--input-type=module', '-e', script]
    const [code, stderr] = await new Promise<[unknown, string]>(done => {
      execFile('env', args, (error, _stdout, text) => done([error?.code, text]))
    })
    t.equal(code, 1)
    const line = stderr.split('\n').find(each => each.startsWith('{'))
    t.match(JSON.parse(line ?? '{}'), {
      level: 'error',
      code: 'INTERNAL_ERROR',
      where: origin,
      stack: /broken\n +at /,
    })
  })
}
