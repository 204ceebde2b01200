// coffer jobs show | watch

import type { Argv } from 'yargs'

import type { JobInfo } from '../control/methods.ts'
import { print, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { UsageError } from './exit-codes.ts'
import { formatTable } from './format.ts'
import type { CliIo } from './io.ts'
import { describeProgress, watchJob } from './progress.ts'

export function addJobsCommands(io: CliIo, yargs: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return yargs.command('jobs', 'Long work of the daemon', family =>
    family
      .command(
        'show',
        'Show what runs, and the latest that ended',
        args => args.example('$0 jobs show', 'With their numbers'),
        async argv => {
          const reply = await withControl(io, argv, client => client.call('jobs.list', {}))
          print(io, argv, reply, ({ jobs }) => listJobs(jobs))
        },
      )
      .command(
        'watch <id>',
        'Wait until a job ends, and show how far it is; the job does not need it',
        args =>
          args
            .positional('id', {
              type: 'string',
              demandOption: true,
              coerce: parseJobId,
              describe: 'Number of the job',
            })
            .example('$0 jobs watch 3', 'A bar until it ends'),
        async argv => {
          await withControl(io, argv, client => watchJob(io, argv, client, argv.id))
        },
      )
      .example('$0 jobs show', 'What the daemon is busy with')
      .demandCommand(1, 1, 'Say what to do: jobs show or watch.'),
  )
}

/** yargs would make NaN of what is no number. @throws UsageError */
function parseJobId(text: string): number {
  const id = /^\d{1,15}$/.test(text) ? Number(text) : 0
  if (id > 0) return id
  throw new UsageError(`${JSON.stringify(text)} is no number of a job; see "coffer jobs show".`)
}

function listJobs(jobs: readonly JobInfo[]): string {
  if (jobs.length === 0) return 'No job runs, and none has ended since the daemon started.\n'
  return formatTable(
    ['Id', 'Kind', 'State', 'Started', 'Title', 'Latest'],
    jobs.map(job => [job.id, job.kind, job.state, job.startedAt, job.title, latestOf(job)]),
  )
}

function latestOf({ end, progress }: JobInfo): string {
  if (end?.state === 'finished') return end.text
  if (end?.state === 'failed') return `${end.code}: ${end.message}`
  return progress === null ? '' : `${progress.phase}: ${describeProgress(progress)}`
}
