// The options of `start` and `run`, and their way from the one's command line to the other's.

import { resolve } from 'node:path'

import type { Argv } from 'yargs'

import { keyRetirements, logLevels, transportNames } from '../daemon/contract.ts'
import type { DaemonOptions, LogLevel, MetricsPlace, PassphraseFile } from '../daemon/contract.ts'
import { socketPath } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { parseSeconds } from './durations.ts'
import { UsageError } from './exit-codes.ts'
import type { CliIo } from './io.ts'
import { splitRepeated } from './repeated-options.ts'
import { parseSize } from './sizes.ts'

const PORT_MAX = 65_535

/** What both commands accept. */
export function daemonOptions(args: Argv<GlobalArgs>) {
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
    .option('create', {
      type: 'boolean',
      describe: 'Make a new store where there is none',
    })
    .option('new-identity', {
      type: 'boolean',
      default: false,
      describe: 'The store is a copy: give it an identity and keystore copies of its own',
    })
    .option('moved', {
      type: 'boolean',
      default: false,
      describe: 'The store was moved: the path that it was known under no longer counts',
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
      requiresArg: true,
      describe: 'Unlock a storage group at the start: GROUP=FILE; may be repeated',
    })
    .option('require-unlocked', {
      type: 'boolean',
      default: false,
      describe: 'Fail when a passphrase file unlocks nothing, instead of an alert',
    })
    .option('quota-min', { type: 'string', requiresArg: true, coerce: parseSize, hidden: true })
    .option('mass-delete-percent', {
      type: 'string',
      requiresArg: true,
      coerce: parsePercent,
      describe: 'Share of a container whose deletion within an hour is an alert (default 50)',
    })
    .option('trash-time', {
      type: 'string',
      requiresArg: true,
      coerce: parseSeconds,
      describe: 'How long freed block files are kept (default 24h, 0 = not at all)',
    })
    .option('key-retirement', {
      choices: keyRetirements,
      requiresArg: true,
      describe:
        'Erase old keys when the trash no longer needs them, or empty it first (default wait)',
    })
    .option('metrics-port', {
      type: 'string',
      requiresArg: true,
      coerce: parsePort,
      describe: 'Serve statistics to Prometheus on this port of 127.0.0.1',
    })
    .option('metrics-socket', {
      type: 'string',
      requiresArg: true,
      describe: 'Serve them on a Unix socket instead',
    })
    .option('transport', {
      choices: transportNames,
      requiresArg: true,
      describe: "Who carries the mount's requests (default device)",
    })
    .option('let-processors-sleep', {
      type: 'boolean',
      default: false,
      describe: 'Never keep idle processors awake for clients that ask often',
    })
    .option('log-level', {
      choices: logLevels,
      requiresArg: true,
      describe: 'What the log holds (default info)',
    })
}

interface DaemonArgs {
  store: string
  create?: boolean | undefined
  newIdentity?: boolean | undefined
  moved?: boolean | undefined
  mount: string
  socket: string | undefined
  allowOther: boolean
  keystoreBackup: string | undefined
  passphraseFile?: string | undefined
  requireUnlocked?: boolean | undefined
  quotaMin?: number | undefined
  massDeletePercent?: number | undefined
  trashTime?: number | undefined
  keyRetirement?: DaemonOptions['keyRetirement'] | undefined
  metricsPort?: number | undefined
  metricsSocket?: string | undefined
  transport?: DaemonOptions['transport'] | undefined
  letProcessorsSleep?: boolean | undefined
  logLevel?: LogLevel | undefined
}

/** With absolute paths: the daemon leaves the directory that it was started in. */
export function toDaemonOptions(io: CliIo, argv: DaemonArgs): DaemonOptions {
  const { keystoreBackup, massDeletePercent, transport, logLevel } = argv
  return {
    store: resolve(argv.store),
    ...(argv.create === true && { create: true }),
    ...copyAnswerOf(argv),
    mount: resolve(argv.mount),
    socket: socketPath(io, argv.socket),
    allowOther: argv.allowOther,
    ...(keystoreBackup !== undefined && { keystoreBackup: resolve(keystoreBackup) }),
    ...(argv.passphraseFile !== undefined && {
      passphraseFiles: splitRepeated(argv.passphraseFile).map(parsePassphraseFile),
    }),
    ...(argv.requireUnlocked === true && { requireUnlocked: true }),
    ...(argv.quotaMin !== undefined && { quotaBytesMin: argv.quotaMin }),
    ...(massDeletePercent !== undefined && { massDeletePercent }),
    ...(argv.trashTime !== undefined && { trashSeconds: argv.trashTime }),
    ...(argv.keyRetirement !== undefined && { keyRetirement: argv.keyRetirement }),
    ...metricsPlace(argv),
    ...(transport !== undefined && { transport }),
    ...(argv.letProcessorsSleep === true && { letProcessorsSleep: true }),
    ...(logLevel !== undefined && { logLevel }),
  }
}

/** @throws UsageError when there are two */
function copyAnswerOf({ newIdentity, moved }: DaemonArgs): Pick<DaemonOptions, 'copyAnswer'> {
  if (newIdentity === true && moved === true) {
    throw new UsageError('--new-identity and --moved exclude each other.')
  }
  if (newIdentity === true) return { copyAnswer: 'new-identity' }
  return moved === true ? { copyAnswer: 'moved' } : {}
}

/** @throws UsageError when there are two */
function metricsPlace({ metricsPort, metricsSocket }: DaemonArgs): Pick<DaemonOptions, 'metrics'> {
  if (metricsPort !== undefined && metricsSocket !== undefined) {
    throw new UsageError('--metrics-port and --metrics-socket exclude each other.')
  }
  if (metricsPort !== undefined) return { metrics: { port: metricsPort } }
  return metricsSocket === undefined ? {} : { metrics: { socket: resolve(metricsSocket) } }
}

/** @throws UsageError unless it is a port */
function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port >= 1 && port <= PORT_MAX) return port
  throw new UsageError(`--metrics-port wants 1 to ${PORT_MAX}, not ${JSON.stringify(text)}.`)
}

/** @throws UsageError unless it is 1 to 100 */
function parsePercent(text: string): number {
  const percent = /^\d{1,3}%?$/.test(text) ? Number.parseInt(text, 10) : 0
  if (percent >= 1 && percent <= 100) return percent
  throw new UsageError(`--mass-delete-percent wants 1 to 100, not ${JSON.stringify(text)}.`)
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
  const { store, mount, socket, allowOther, keystoreBackup, massDeletePercent } = options
  const { copyAnswer, logLevel, metrics, transport } = options
  // `--x=value`: a value may begin with a dash.
  return [
    `--store=${store}`,
    ...(options.create === true ? ['--create'] : []),
    ...(copyAnswer === undefined || copyAnswer === 'ask' ? [] : [`--${copyAnswer}`]),
    `--mount=${mount}`,
    `--socket=${socket}`,
    ...(allowOther ? ['--allow-other'] : []),
    ...(keystoreBackup === undefined ? [] : [`--keystore-backup=${keystoreBackup}`]),
    ...(options.passphraseFiles ?? []).map(
      ({ group, path }) => `--passphrase-file=${group}=${path}`,
    ),
    ...(options.requireUnlocked === true ? ['--require-unlocked'] : []),
    ...(options.quotaBytesMin === undefined ? [] : [`--quota-min=${options.quotaBytesMin}`]),
    ...(massDeletePercent === undefined ? [] : [`--mass-delete-percent=${massDeletePercent}`]),
    ...(options.trashSeconds === undefined ? [] : [`--trash-time=${options.trashSeconds}s`]),
    ...(options.keyRetirement === undefined ? [] : [`--key-retirement=${options.keyRetirement}`]),
    ...(metrics === undefined ? [] : [metricsArg(metrics)]),
    ...(transport === undefined ? [] : [`--transport=${transport}`]),
    ...(options.letProcessorsSleep === true ? ['--let-processors-sleep'] : []),
    ...(logLevel === undefined ? [] : [`--log-level=${logLevel}`]),
  ]
}

function metricsArg(place: MetricsPlace): string {
  return 'port' in place ? `--metrics-port=${place.port}` : `--metrics-socket=${place.socket}`
}
