// Jobs on the board: progress, the time that is left, how they end, and what is remembered of them.

import t from 'tap'

import { ENDED_JOBS_MAX, JobBoard } from '../../src/daemon/job-board.ts'
import type { JobEnd } from '../../src/daemon/job-board.ts'
import { phaseEtaSeconds } from '../../src/daemon/job-eta.ts'
import { CofferError } from '../../src/errors.ts'
import { setInternalErrorSink } from '../../src/internal-errors.ts'

function boardOf() {
  const clock = { seconds: 1_000_000 }
  return { board: new JobBoard(() => clock.seconds), clock }
}

t.test('the time left is judged by what this phase did so far', async t => {
  const phase = { elapsedSeconds: 10, firstBytes: 0, doneBytes: 25, totalBytes: 100 }
  t.equal(phaseEtaSeconds(phase), 30)
  t.equal(phaseEtaSeconds({ ...phase, doneBytes: 30 }), 24, 'rounded up')
  t.equal(phaseEtaSeconds({ ...phase, firstBytes: 15 }), 75, 'what was there is not its merit')
  t.equal(phaseEtaSeconds({ ...phase, doneBytes: 100 }), 0)
  t.equal(phaseEtaSeconds({ ...phase, doneBytes: 120 }), 0, 'more than was expected')
  t.equal(phaseEtaSeconds({ ...phase, doneBytes: 0 }), null, 'nothing done')
  t.equal(phaseEtaSeconds({ ...phase, firstBytes: 40 }), null, 'it went back')
  t.equal(phaseEtaSeconds({ ...phase, elapsedSeconds: 0 }), null, 'no time went by')
  t.equal(phaseEtaSeconds({ ...phase, elapsedSeconds: -5 }), null, 'the clock was set back')
  t.equal(phaseEtaSeconds({ ...phase, totalBytes: 0 }), null, 'the total is unknown')
})

t.test('a job tells how far it is, and begins anew with each phase', async t => {
  const { board, clock } = boardOf()
  const job = board.begin('scan', 'Scan of group backups')
  t.match(board.get(job.id).view(), { id: 1, kind: 'scan', reports: 0, startedSeconds: 1_000_000 })
  t.equal(board.get(job.id).view().progress, undefined)

  job.report({ phase: 'read', doneBytes: 0, totalBytes: 1000 })
  clock.seconds += 10
  job.report({ phase: 'read', doneBytes: 100, totalBytes: 1000, text: 'block 7' })
  t.strictSame(board.get(job.id).view().progress, {
    phase: 'read',
    doneBytes: 100,
    totalBytes: 1000,
    etaSeconds: 90,
    text: 'block 7',
  })
  clock.seconds += 10
  t.equal(board.get(job.id).view().progress?.etaSeconds, 180, 'a standstill makes it later')

  job.report({ phase: 'compare', doneBytes: 500, totalBytes: 1000 })
  t.match(board.get(job.id).view().progress, { phase: 'compare', etaSeconds: null, text: null })
  clock.seconds += 5
  job.report({ phase: 'compare', doneBytes: 600, totalBytes: 1000 })
  t.equal(board.get(job.id).view().progress?.etaSeconds, 20)
  t.equal(board.get(job.id).view().reports, 4)
})

t.test('estimates that are no whole numbers do no harm', async t => {
  const { board } = boardOf()
  const job = board.begin('scan', 'x')
  job.report({ phase: 'read', doneBytes: 1.6, totalBytes: Number.NaN })
  t.match(board.get(job.id).view().progress, { doneBytes: 2, totalBytes: 0, etaSeconds: null })
  job.report({ phase: 'read', doneBytes: -1, totalBytes: Number.POSITIVE_INFINITY })
  t.match(board.get(job.id).view().progress, { doneBytes: 0, totalBytes: 0 })
})

t.test('the first end counts', async t => {
  const { board, clock } = boardOf()
  const ends: JobEnd[] = []
  const done = board.begin('scan', 'x')
  done.report({ phase: 'read', doneBytes: 1, totalBytes: 3 })
  board.get(done.id).whenEnded(end => ends.push(end))
  const uninterested = board.get(done.id).whenEnded(() => t.fail('was no longer interested'))
  uninterested()
  clock.seconds += 7
  done.finish('All is well.')
  done.fail(new Error('late'))
  done.report({ phase: 'late', doneBytes: 0, totalBytes: 0 })
  t.match(board.get(done.id).view(), {
    end: { state: 'finished', text: 'All is well.' },
    endedSeconds: 1_000_007,
    progress: { phase: 'read', etaSeconds: null },
  })
  t.strictSame(ends, [{ state: 'finished', text: 'All is well.' }])
  board.get(done.id).whenEnded(end => ends.push(end))
  t.equal(ends.length, 2, 'asked after the end, told at once')

  const refused = board.begin('scan', 'x')
  refused.fail(new CofferError('GROUP_LOCKED', 'The group is locked.'))
  t.strictSame(board.get(refused.id).view().end, {
    state: 'failed',
    code: 'GROUP_LOCKED',
    message: 'The group is locked.',
  })
  const broken = board.begin('scan', 'x')
  const reported: unknown[][] = []
  const reset = setInternalErrorSink((where, error) => reported.push([where, error]))
  t.teardown(reset)
  board.begin('scan', 'x').fail(new CofferError('GROUP_LOCKED', 'The group is locked.'))
  t.strictSame(reported, [], 'what can happen in operation is no internal error')
  broken.fail(new TypeError('secret detail'))
  t.match(reported, [[`job ${broken.id} (scan)`, { message: 'secret detail' }]])
  t.match(board.get(broken.id).view().end, { state: 'failed', code: 'INTERNAL' })
  t.notMatch(JSON.stringify(board.list()), /secret/)
})

t.test('running jobs and the latest that ended are remembered', async t => {
  const { board } = boardOf()
  const runs = board.begin('scan', 'runs all the while')
  for (let count = 0; count < ENDED_JOBS_MAX + 5; count++) board.begin('x', 'x').finish('')
  const ids = board.list().map(({ id }) => id)
  t.equal(ids.length, ENDED_JOBS_MAX + 1)
  t.strictSame(ids.slice(0, 2), [runs.id, 7], 'the oldest ends are forgotten')
  t.throws(() => board.get(2), { code: 'JOB_NOT_FOUND' })
  runs.finish('x'.repeat(5000))
  t.equal(board.get(runs.id).view().end?.state, 'finished')
  t.ok(JSON.stringify(board.get(runs.id).view()).length < 3000, 'texts are bounded')
})
