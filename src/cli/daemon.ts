// coffer start | run | stop | status

import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import type { Argv } from 'yargs'

import { connectControl } from '../control/client.ts'
import type { SystemStatus } from '../control/methods.ts'
import { hasCode } from '../control/socket-path.ts'
import { logLevels } from '../daemon/contract.ts'
import type { DaemonOptions, LogLevel, PassphraseFile } from '../daemon/contract.ts'
import { CofferError } from '../errors.ts'
import { listAlerts } from './alerts.ts'
import { confirm, print, socketPath, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { UsageError } from './exit-codes.ts'
import { formatDuration, formatPairs } from './format.ts'
import type { CliIo } from './io.ts'
import { launchDaemon } from './launch.ts'
import { runDaemon } from './run.ts'
import { parseSize } from './sizes.ts'

/** A daemon commits what it has in memory before it ends; slow disks take their time. */
const STOP_TIMEOUT_MILLISECONDS = 10 * 60 * 1000
const STOP_POLL_MILLISECONDS = 50

export function addDaemonCommands(io: CliIo, yargs: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return yargs
    .command(
      'start',
      'Start the daemon; returns when the store is mounted',
      daemonOptions,
      async argv => {
        const options = toDaemonOptions(io, argv)
        await refuseSecondDaemon(options.socket)
        const entry = process.argv[1] ?? ''
        const log = join(options.store, 'daemon.log')
        const pid = await launchDaemon([...process.execArgv, entry, 'run', ...toArgs(options)], log)
        print(io, argv, { pid, ...options }, () => `The store is mounted on ${options.mount}.\n`)
      },
    )
    .command('run', 'Run the daemon in the foreground', daemonOptions, async argv => {
      await runDaemon(io, toDaemonOptions(io, argv))
    })
    .command(
      'stop',
      'Commit, unmount and end',
      args =>
        args
          .option('force', { type: 'boolean', default: false, describe: 'Even if files are open' })
          .option('yes', { type: 'boolean', default: false, describe: "Don't ask" }),
      async argv => {
        const { force } = argv
        await withControl(io, argv, async client => {
          const { pid, mount } = await client.call('system.status', {})
          if (force)
            await confirm(io, argv.yes, `Programs that use ${mount} will lose their files.`)
          await client.call('daemon.stop', { force })
          await waitForEnd(pid)
        })
        print(io, argv, {}, () => 'The daemon has ended.\n')
      },
    )
    .command(
      'status',
      'Show what runs, and whether it is well',
      args => args,
      async argv => {
        const reply = await withControl(io, argv, client => client.call('system.status', {}))
        print(io, argv, reply, writeStatus)
      },
    )
}

function daemonOptions(args: Argv<GlobalArgs>) {
  return args
    .option('store', {
      type: 'string',
      demandOption: true,
      requiresArg: true,
      describe: 'Directory that holds all data',
    })
    .option('mount', {
      type: 'string',
      demandOption: true,
      requiresArg: true,
      describe: 'Directory where it appears as a filesystem',
    })
    .option('allow-other', {
      type: 'boolean',
      default: false,
      describe: 'Let other users use the mount',
    })
    .option('keystore-backup', {
      type: 'string',
      requiresArg: true,
      describe: 'Directory for second copies of the keystores',
    })
    .option('passphrase-file', {
      type: 'string',
      array: true,
      requiresArg: true,
      describe: 'Unlock a storage group at the start: GROUP=FILE',
    })
    .option('quota-min', { type: 'string', requiresArg: true, coerce: parseSize, hidden: true })
    .option('chunk-size', {
      type: 'string',
      requiresArg: true,
      coerce: parseSize,
      describe: 'Average chunk size of new storage groups',
    })
    .option('memory', {
      type: 'string',
      requiresArg: true,
      coerce: parseSize,
      describe: 'Bound of caches and buffers',
    })
    .option('log-level', {
      choices: logLevels,
      requiresArg: true,
      describe: 'What the log holds (default info)',
    })
}

interface DaemonArgs {
  store: string
  mount: string
  socket: string | undefined
  allowOther: boolean
  keystoreBackup: string | undefined
  passphraseFile?: string[] | undefined
  quotaMin?: number | undefined
  chunkSize: number | undefined
  memory: number | undefined
  logLevel?: LogLevel | undefined
}

/** With absolute paths: the daemon may leave the directory it was started in. */
export function toDaemonOptions(io: CliIo, argv: DaemonArgs): DaemonOptions {
  const { keystoreBackup, chunkSize, memory, logLevel } = argv
  return {
    store: resolve(argv.store),
    mount: resolve(argv.mount),
    socket: socketPath(io, argv.socket),
    allowOther: argv.allowOther,
    ...(keystoreBackup !== undefined && { keystoreBackup: resolve(keystoreBackup) }),
    ...(argv.passphraseFile !== undefined && {
      passphraseFiles: argv.passphraseFile.map(parsePassphraseFile),
    }),
    ...(argv.quotaMin !== undefined && { quotaBytesMin: argv.quotaMin }),
    ...(chunkSize !== undefined && { chunkSizeBytes: chunkSize }),
    ...(memory !== undefined && { memoryBytes: memory }),
    ...(logLevel !== undefined && { logLevel }),
  }
}

/** @throws UsageError unless it is GROUP=FILE */
function parsePassphraseFile(text: string): PassphraseFile {
  const at = text.indexOf('=')
  if (at < 1 || at === text.length - 1) {
    throw new UsageError(`--passphrase-file wants GROUP=FILE, not ${JSON.stringify(text)}.`)
  }
  return { group: text.slice(0, at), path: resolve(text.slice(at + 1)) }
}

/** The inverse of parsing: what `run` must be given to get the same options. */
export function toArgs(options: DaemonOptions): string[] {
  const { store, mount, socket, allowOther, keystoreBackup, chunkSizeBytes, memoryBytes } = options
  const { logLevel } = options
  // `--x=value`: a value may begin with a dash.
  return [
    `--store=${store}`,
    `--mount=${mount}`,
    `--socket=${socket}`,
    ...(allowOther ? ['--allow-other'] : []),
    ...(keystoreBackup === undefined ? [] : [`--keystore-backup=${keystoreBackup}`]),
    ...(options.passphraseFiles ?? []).map(
      ({ group, path }) => `--passphrase-file=${group}=${path}`,
    ),
    ...(options.quotaBytesMin === undefined ? [] : [`--quota-min=${options.quotaBytesMin}`]),
    ...(chunkSizeBytes === undefined ? [] : [`--chunk-size=${chunkSizeBytes}`]),
    ...(memoryBytes === undefined ? [] : [`--memory=${memoryBytes}`]),
    ...(logLevel === undefined ? [] : [`--log-level=${logLevel}`]),
  ]
}

/** Found out early: otherwise the second daemon would say that the store is locked, which helps less. */
async function refuseSecondDaemon(socket: string): Promise<void> {
  const client = await connectControl(socket).catch(() => undefined)
  if (client === undefined) return
  client.close()
  throw new CofferError('SOCKET_IN_USE', `A coffer daemon runs already; it answers on ${socket}.`)
}

async function waitForEnd(pid: number): Promise<void> {
  const deadline = performance.now() + STOP_TIMEOUT_MILLISECONDS
  while (await isRunning(pid)) {
    if (performance.now() > deadline) {
      const message = `The daemon (process ${pid}) was told to stop and still runs; is a file on the mount open?`
      throw new CofferError('STOP_TIMEOUT', message)
    }
    await sleep(STOP_POLL_MILLISECONDS)
  }
}

async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it lives, and belongs to somebody else.
    return !hasCode(error, 'ESRCH')
  }
  // A process whose parent never asks for its status stays as a zombie: in a container without an
  // init that can be forever. Where there is no /proc, signal 0 has to do.
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return !/\) [ZX] /.test(stat)
}

function writeStatus(status: SystemStatus): string {
  const { lockedGroups, readOnlyReason, alerts } = status
  const block = formatPairs([
    ['Version', status.version],
    ['Process', status.pid],
    ['Store', status.store],
    ['Mount', status.mount],
    ['Socket', status.socket],
    ['Started', status.startedAt],
    ['Uptime', formatDuration(status.uptimeSeconds)],
    ['Storage Groups', status.groups],
    ['Containers', status.containers],
    ['Locked Groups', lockedGroups.length === 0 ? 'none' : lockedGroups.join(', ')],
    ['Writable', status.isReadOnly ? `no: ${readOnlyReason ?? 'reason unknown'}` : 'yes'],
    ['Alerts', alerts.length],
  ])
  return alerts.length === 0 ? block : `${block}\n${listAlerts(alerts)}`
}
