// coffer start | run | stop | status

import { join } from 'node:path'

import type { Argv } from 'yargs'

import type { SystemStatus } from '../control/methods.ts'
import { countOpen, listAlerts, openAlerts } from './alerts.ts'
import type { CreationMode, DaemonOptions } from '../daemon/contract.ts'
import { confirm, print, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { daemonOptions, toArgs, toDaemonOptions } from './daemon-options.ts'
import { formatDuration, formatPairs, printable } from './format.ts'
import type { CliIo } from './io.ts'
import type { LaunchedDaemon } from './launch.ts'

// What only one of these commands needs is loaded by it, so that the others start sooner.

export function addDaemonCommands(io: CliIo, yargs: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return yargs
    .command(
      'start',
      'Start the daemon; returns when the store is mounted',
      args =>
        daemonOptions(args)
          .example(
            '$0 start --store /srv/store --mount /mnt/coffer',
            'A first start makes the store',
          )
          .example(
            '$0 start --store /srv/store --mount /mnt/coffer --no-create',
            'Refused while the disk of /srv/store is missing',
          )
          .example(
            '$0 start --store S --mount M --passphrase-file a=/keys/a --passphrase-file b=/keys/b',
            'Unlocks two storage groups',
          ),
      async argv => {
        const options = toDaemonOptions(io, argv)
        const started = await startInBackground(options, creationMode(argv.create))
        // Not on stdout, which mount(8) and programs that parse it throw away or read.
        for (const warning of started.warnings) io.err(`coffer: warning: ${printable(warning)}\n`)
        const text = [
          ...started.notices.map(printable),
          `The store is mounted on ${options.mount}.`,
        ]
        print(io, argv, { ...started, ...options }, () => `${text.join('\n')}\n`)
      },
    )
    .command(
      'run',
      'Run the daemon in the foreground',
      args =>
        daemonOptions(args)
          .example(
            '$0 run --store /srv/store --mount /mnt/coffer --log-level warn',
            'As in a container',
          )
          .example('$0 run --store /srv/store --mount /mnt/coffer --create', 'The first time'),
      async argv => {
        const { runDaemon } = await import('./run.ts')
        await runDaemon(io, toDaemonOptions(io, argv))
      },
    )
    .command(
      'stop',
      'Commit, unmount and end',
      args =>
        args
          .option('force', { type: 'boolean', default: false, describe: 'Even if files are open' })
          .option('yes', { type: 'boolean', default: false, describe: "Don't ask" })
          .example('$0 stop', 'When no file on the mount is open')
          .example('$0 stop --force --yes', 'In any case'),
      async argv => {
        const { force } = argv
        await withControl(io, argv, async client => {
          const { pid, mount } = await client.call('system.status', {})
          if (force)
            await confirm(io, argv.yes, `Programs that use ${mount} will lose their files.`)
          await client.call('daemon.stop', { force })
          const { waitForEnd } = await import('./process-end.ts')
          await waitForEnd(pid)
        })
        print(io, argv, {}, () => 'The daemon has ended.\n')
      },
    )
    .command(
      'status',
      'Show what runs, and whether it is well',
      args => args.example('$0 status --json', 'For a program that watches it'),
      async argv => {
        const reply = await withControl(io, argv, client => client.call('system.status', {}))
        print(io, argv, reply, writeStatus)
      },
    )
}

/** @throws CofferError before anything is made where the start can't be right, else what the daemon says */
async function startInBackground(
  options: DaemonOptions,
  mode: CreationMode,
): Promise<LaunchedDaemon> {
  const { launchDaemon, refuseSecondDaemon } = await import('./launch.ts')
  await refuseSecondDaemon(options.socket)
  const { checkBeforeStart } = await import('../daemon/before-start.ts')
  const create = await checkBeforeStart(options, mode)
  const entry = process.argv[1] ?? ''
  const args = [...process.execArgv, entry, 'run', ...toArgs({ ...options, create })]
  return await launchDaemon(args, join(options.store, 'daemon.log'))
}

/** Of `start`: without the option a store is made where the machine knows of none. */
function creationMode(create: boolean | undefined): CreationMode {
  if (create === undefined) return 'if-new'
  return create ? 'create' : 'never'
}

function writeStatus(status: SystemStatus): string {
  const { lockedGroups, readOnlyReason } = status
  const open = openAlerts(status)
  const block = formatPairs([
    ['Version', status.version],
    ['Process', status.pid],
    ['Store', status.store],
    ['Mount', status.mount],
    ['Transport', status.transport],
    ['Socket', status.socket],
    ['Started', status.startedAt],
    ['Uptime', formatDuration(status.uptimeSeconds)],
    ['Storage Groups', status.groups],
    ['Containers', status.containers],
    ['Locked Groups', lockedGroups.length === 0 ? 'none' : lockedGroups.join(', ')],
    ['Writable', status.isReadOnly ? `no: ${readOnlyReason ?? 'reason unknown'}` : 'yes'],
    ['Alerts', countOpen(status)],
  ])
  return open.alerts.length === 0 ? block : `${block}\n${listAlerts(open)}`
}
