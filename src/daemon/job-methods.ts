// Control methods of jobs. Watchers come to look at the board at their own pace: a job that reports a thousand times a
// second, or a client that reads nothing for an hour, costs nothing but the looking.

import type { ControlCaller, ControlTarget, JobEnd, JobInfo } from '../control/index.ts'
import { isoTime } from './control-views.ts'
import type { JobBoard, JobView, WatchedJob } from './job-board.ts'

/** Often enough for a bar that moves. */
const LOOK_INTERVAL_MS = 250

type JobMethods = Pick<ControlTarget, 'jobs.list' | 'jobs.watch'>

export function jobMethods(board: JobBoard): JobMethods {
  return {
    'jobs.list': async () => ({ jobs: board.list().map(showJob) }),
    'jobs.watch': async ({ id }, caller) => await watch(board.get(id), caller),
  }
}

/** @throws the reason when the caller went first */
async function watch(job: WatchedJob, caller: ControlCaller): Promise<JobEnd> {
  let toldReports = 0
  const tell = (): void => {
    const { id, progress, reports } = job.view()
    if (progress === undefined || reports === toldReports) return
    if (caller.notify('jobs.progress', { id, ...progress })) toldReports = reports
  }
  tell()
  const timer = setInterval(tell, LOOK_INTERVAL_MS)
  try {
    const end = await endOf(job, caller.gone)
    tell()
    return end
  } finally {
    clearInterval(timer)
  }
}

/** A promise that leaves nothing behind at the job when the client goes first, as a race of promises would. */
function endOf(job: WatchedJob, gone: AbortSignal): Promise<JobEnd> {
  return new Promise((resolve, reject) => {
    if (gone.aborted) {
      reject(gone.reason)
      return
    }
    const leave = (): void => {
      loseInterest()
      reject(gone.reason)
    }
    gone.addEventListener('abort', leave, { once: true })
    const loseInterest = job.whenEnded(end => {
      gone.removeEventListener('abort', leave)
      resolve(end)
    })
  })
}

function showJob(job: JobView): JobInfo {
  return {
    id: job.id,
    kind: job.kind,
    title: job.title,
    state: job.end?.state ?? 'running',
    startedAt: isoTime(job.startedSeconds),
    endedAt: job.endedSeconds === undefined ? null : isoTime(job.endedSeconds),
    progress: job.progress ?? null,
    end: job.end ?? null,
  }
}
