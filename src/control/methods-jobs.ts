// Control methods of jobs: long work that goes on in the daemon, whoever watches it.

import { z } from 'zod'

import { bytes, isoTime, nothing } from './schemas.ts'

const jobId = z.int().positive()

const progressFields = {
  phase: z.string(),
  doneBytes: bytes,
  totalBytes: bytes.describe('of this phase; 0 when unknown'),
  etaSeconds: z.number().nonnegative().nullable().describe('until this phase ends, if known'),
  text: z.string().nullable(),
}

const jobEnd = z.discriminatedUnion('state', [
  z.object({ state: z.literal('finished'), text: z.string() }),
  z.object({ state: z.literal('failed'), code: z.string(), message: z.string() }),
])

const job = z.object({
  id: jobId,
  kind: z.string().describe('stable, as the command that starts it'),
  title: z.string(),
  state: z.enum(['running', 'finished', 'failed']),
  startedAt: isoTime,
  endedAt: isoTime.nullable(),
  progress: z.object(progressFields).nullable().describe('null before the first report'),
  end: jobEnd.nullable().describe('null while it runs'),
})

export const jobMethods = {
  'jobs.list': {
    summary: 'Jobs that run, and the latest that ended, since the start of the daemon.',
    params: nothing,
    result: z.object({ jobs: z.array(job) }),
  },
  'jobs.watch': {
    summary:
      'Wait until a job ends. Meanwhile jobs.progress tells how far it is; who reads slowly is told less often.',
    params: z.strictObject({ id: jobId }),
    result: jobEnd,
  },
} as const

/** What the daemon says unasked, while a call of the client's runs. */
export const notifications = {
  'jobs.progress': {
    summary: 'How far a job is that this connection watches; at most some 4 a second.',
    params: z.object({ id: jobId, ...progressFields }),
  },
} as const
