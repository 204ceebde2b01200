// coffer email-alerts configure | enable | disable | status | test-email | clear-config

import { readFile } from 'node:fs/promises'

import type { Argv } from 'yargs'

import type { MailStatus } from '../control/methods-alerts.ts'
import { firstLine } from '../first-line.ts'
import { confirm, print, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { UsageError } from './exit-codes.ts'
import { formatPairs } from './format.ts'
import type { Pair } from './format.ts'
import type { CliIo } from './io.ts'

export function addEmailAlertsCommands(io: CliIo, yargs: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return yargs.command('email-alerts', 'Mail about what needs attention', family => {
    addConfigure(io, family)
    for (const [verb, method, summary, example] of [
      ['enable', 'emailAlerts.enable', 'Send mail from now on', 'Once it is configured'],
      ['disable', 'emailAlerts.disable', 'Send no more mail; the settings stay', 'Until "enable"'],
      [
        'status',
        'emailAlerts.status',
        'Show the settings and what waits',
        'Whether mail gets through',
      ],
    ] as const) {
      family.command(
        verb,
        summary,
        args => args.example(`$0 email-alerts ${verb}`, example),
        async argv => {
          const reply = await withControl(io, argv, client => client.call(method, {}))
          print(io, argv, reply, describe)
        },
      )
    }
    return addTestAndClear(io, family)
      .example('$0 email-alerts configure', 'Asks for what it needs; "enable" comes next')
      .demandCommand(
        1,
        1,
        'Say what to do: email-alerts configure, enable, disable, status, test-email or clear-config.',
      )
  })
}

function addTestAndClear(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return family
    .command(
      'test-email',
      'Send a test mail now',
      args => args.example('$0 email-alerts test-email', 'To all recipients'),
      async argv => {
        const reply = await withControl(io, argv, client =>
          client.call('emailAlerts.testEmail', {}),
        )
        print(io, argv, reply, () => 'Success: Test email sent.\n')
      },
    )
    .command(
      'clear-config',
      'Forget the settings and what waits',
      args =>
        args
          .option('yes', { type: 'boolean', default: false, describe: "Don't ask" })
          .example('$0 email-alerts clear-config --yes', 'Without a question'),
      async argv => {
        await confirm(io, argv.yes, 'The settings of e-mail alerts will be gone.')
        const reply = await withControl(io, argv, client =>
          client.call('emailAlerts.clearConfig', {}),
        )
        print(io, argv, reply, describe)
      },
    )
}

function addConfigure(io: CliIo, family: Argv<GlobalArgs>): void {
  family.command(
    'configure',
    'Set where mail goes; what is missing is asked for',
    args =>
      args
        .options(configureOptions)
        .example('$0 email-alerts configure', 'Asks for what it needs')
        .example(
          '$0 email-alerts configure --relay mail.example.org --tls starttls ' +
            '--sender-name Backups --sender backups@example.org --to admin@example.org',
          'Asks for nothing',
        ),
    async argv => {
      const missing = async (given: string | undefined, option: string): Promise<string> =>
        given ?? (await askFor(io, option))
      const relay = await missing(argv.relay, 'relay')
      const senderName = await missing(argv['sender-name'], 'sender-name')
      const sender = await missing(argv.sender, 'sender')
      const to = argv.to ?? [await askFor(io, 'to')]
      const login = await loginOf(io, argv.user, argv['password-file'])
      const port = argv.port === undefined ? {} : { port: argv.port }
      const { tls, cc = [], bcc = [] } = argv
      const reply = await withControl(io, argv, client =>
        client.call('emailAlerts.configure', {
          relay,
          tls,
          senderName,
          sender,
          to,
          cc,
          bcc,
          ...port,
          ...login,
        }),
      )
      print(io, argv, reply, describe)
    },
  )
}

/** More than any relay's password takes; the daemon says how much is too much. */
const PASSWORD_FILE_BYTES_MAX = 4096

const configureOptions = {
  relay: { type: 'string', requiresArg: true, describe: 'Host that takes the mail' },
  port: {
    type: 'string',
    requiresArg: true,
    coerce: portOf,
    describe: 'Its port (default 25, 587 with starttls, 465 with tls)',
  },
  tls: {
    choices: ['none', 'starttls', 'tls'] as const,
    default: 'none' as const,
    requiresArg: true,
    describe: 'How the connection is secured',
  },
  user: { type: 'string', requiresArg: true, describe: 'Login at the relay' },
  'password-file': {
    type: 'string',
    requiresArg: true,
    describe: "File whose first line is the login's password; - is standard input",
  },
  'sender-name': { type: 'string', requiresArg: true, describe: "Sender's name" },
  sender: { type: 'string', requiresArg: true, describe: "Sender's address" },
  to: { type: 'string', requiresArg: true, coerce: listOf, describe: 'Recipient; may be repeated' },
  cc: { type: 'string', requiresArg: true, coerce: listOf, describe: 'Copy; may be repeated' },
  bcc: {
    type: 'string',
    requiresArg: true,
    coerce: listOf,
    describe: 'Hidden copy; may be repeated',
  },
} as const

/** `a@x,b@x` as two. */
function listOf(given: unknown): string[] | undefined {
  if (given === undefined) return undefined
  const words: unknown[] = Array.isArray(given) ? given : [given]
  return words.flatMap(word => String(word).split(',')).map(word => word.trim())
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,5}$/.test(text)) throw new UsageError(`"${text}" is not a port.`)
  return Number(text)
}

async function askFor(io: CliIo, option: string): Promise<string> {
  const answer = (await io.ask(`${option}: `))?.trim()
  if (answer === undefined || answer === '') throw new UsageError(`Say --${option}.`)
  return answer
}

/** A login is a user and a password, or neither. */
async function loginOf(
  io: CliIo,
  user: string | undefined,
  file: string | undefined,
): Promise<{ user?: string; password?: string }> {
  if (user === undefined && file === undefined) return {}
  if (user === undefined) throw new UsageError('A password needs --user.')
  if (file === undefined) throw new UsageError('--user needs --password-file.')
  const content = file === '-' ? await io.readStdin(PASSWORD_FILE_BYTES_MAX) : await readFile(file)
  return { user, password: firstLine(content).toString() }
}

function describe({ isEnabled, settings, waiting, dropped, failing }: MailStatus): string {
  const state: Pair[] = [
    ['E-mail Alerts', isEnabled ? 'enabled' : 'disabled'],
    ['Waiting', waiting],
    ['Dropped', dropped],
    ['Failing', failing ?? 'no'],
  ]
  if (settings === null) {
    return `${formatPairs(state)}Not configured; see "coffer email-alerts configure --help".\n`
  }
  const list = (addresses: readonly string[]): string => addresses.join(', ') || 'none'
  return formatPairs([
    ...state,
    ['Relay', `${settings.relay}:${settings.port}`],
    ['TLS', settings.tls],
    ['User', settings.user ?? 'none'],
    ['Sender', `${settings.senderName} <${settings.sender}>`],
    ['To', list(settings.to)],
    ['CC', list(settings.cc)],
    ['BCC', list(settings.bcc)],
  ])
}
