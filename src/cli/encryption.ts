// coffer storage-group set-passphrase | encryption | unlock | lock | keys | rotate-key

import { isUtf8 } from 'node:buffer'

import type { Argv } from 'yargs'

import type { GroupInfo, MethodResult } from '../control/methods.ts'
import { confirm, print, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { parseDays } from './durations.ts'
import { UsageError } from './exit-codes.ts'
import { formatPairs, formatTable } from './format.ts'
import type { CliIo } from './io.ts'
import { readSecret } from './secrets.ts'
import { formatSize } from './sizes.ts'

type Keys = MethodResult<'storageGroup.keys'>

/** The positional of every command about one group. */
export const nameOption = { type: 'string', demandOption: true, describe: 'Storage group' } as const
const fileOption = {
  type: 'string',
  requiresArg: true,
  describe: 'File whose first line is the passphrase; - = stdin',
} as const

export function addEncryptionCommands(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  addPassphraseCommand(io, family)
  addLockCommands(io, family)
  addEncryptionCommand(io, family)
  return addKeyCommands(io, family)
}

function addPassphraseCommand(io: CliIo, family: Argv<GlobalArgs>): void {
  family.command(
    'set-passphrase <name>',
    'Set or change the passphrase',
    args =>
      args
        .positional('name', nameOption)
        .option('passphrase-file', fileOption)
        .option('current-passphrase-file', {
          ...fileOption,
          describe: 'File with the current passphrase, when there is one; - = stdin',
        })
        .example('$0 storage-group set-passphrase office', 'Typed on the terminal')
        .example('$0 storage-group set-passphrase office --passphrase-file F', 'First line of F'),
    async argv => {
      const { name } = argv
      await withControl(io, argv, async client => {
        const { groups } = await client.call('storageGroup.show', { name })
        const hasPassphrase = groups[0]?.hasPassphrase ?? false
        const current = hasPassphrase
          ? await readSecret(io, {
              file: argv.currentPassphraseFile,
              what: 'current passphrase',
              option: '--current-passphrase-file',
              prompt: `Current passphrase of ${name}: `,
            })
          : undefined
        const next = await readSecret(io, {
          file: argv.passphraseFile,
          what: 'new passphrase',
          option: '--passphrase-file',
          prompt: `New passphrase of ${name}: `,
          confirm: 'The same again: ',
        })
        await client.call('storageGroup.setPassphrase', {
          name,
          ...(current !== undefined && { current: takeText(current) }),
          next: takeText(next),
        })
      })
      print(io, argv, {}, () => `The passphrase of ${name} is set.\n`)
    },
  )
}

function addLockCommands(io: CliIo, family: Argv<GlobalArgs>): void {
  family
    .command(
      'unlock <name>',
      'Open the keys of a group',
      args =>
        args
          .positional('name', nameOption)
          .option('passphrase-file', fileOption)
          .example('$0 storage-group unlock office', 'The passphrase is asked for')
          .example(
            'pass show office | $0 storage-group unlock office --passphrase-file -',
            'From stdin',
          ),
      async argv => {
        const { name } = argv
        const secret = await readSecret(io, {
          file: argv.passphraseFile,
          what: 'passphrase',
          option: '--passphrase-file',
          prompt: `Passphrase of ${name}: `,
        })
        const reply = await withControl(io, argv, client =>
          client.call('storageGroup.unlock', { name, passphrase: takeText(secret) }),
        )
        print(io, argv, reply, () => `The storage group ${name} is unlocked.\n`)
      },
    )
    .command(
      'lock <name>',
      'Wipe the keys of a group from memory',
      args =>
        args
          .positional('name', nameOption)
          .option('yes', { type: 'boolean', default: false, describe: "Don't ask" })
          .example('$0 storage-group lock office --yes', 'Without a question'),
      async argv => {
        const { name } = argv
        await confirm(io, argv.yes, `Programs that use data of ${name} will get errors.`)
        const reply = await withControl(io, argv, client =>
          client.call('storageGroup.lock', { name }),
        )
        print(io, argv, reply, () => `The storage group ${name} is locked.\n`)
      },
    )
}

function addEncryptionCommand(io: CliIo, family: Argv<GlobalArgs>): void {
  family.command(
    'encryption <name>',
    'Show encryption, turn it on, change mode or interval',
    args =>
      args
        .positional('name', nameOption)
        .option('set', {
          choices: ['on', 'off'] as const,
          requiresArg: true,
          describe: "Turn it on; it can't be turned off again",
        })
        .option('mode', {
          choices: ['internal', 'static'] as const,
          requiresArg: true,
          describe: 'Keys that rotate, or one key',
        })
        .option('interval', {
          type: 'string',
          requiresArg: true,
          coerce: parseDays,
          describe: 'Days between rotations, 7 days to 70 years',
        })
        .option('yes', { type: 'boolean', default: false, describe: "Don't ask" })
        .example('$0 storage-group encryption office --set on', 'A new key every 30 days')
        .example('$0 storage-group encryption office --interval 90d', 'Every 90 days'),
    async argv => {
      const { name, set, mode, interval } = argv
      if (set === 'on') {
        const consequence = `Encryption of ${name} can't be turned off again.`
        await confirm(io, argv.yes, consequence)
      }
      const reply = await withControl(io, argv, client =>
        client.call('storageGroup.encryption', {
          name,
          ...(set !== undefined && { set }),
          ...(mode !== undefined && { mode }),
          ...(interval !== undefined && { intervalDays: interval }),
        }),
      )
      print(io, argv, reply, describeEncryption)
    },
  )
}

function addKeyCommands(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return family
    .command(
      'keys <name>',
      'Show the content encryption keys',
      args =>
        args
          .positional('name', nameOption)
          .example('$0 storage-group keys office', 'And what is not encrypted yet'),
      async argv => {
        const { name } = argv
        const reply = await withControl(io, argv, client =>
          client.call('storageGroup.keys', { name }),
        )
        print(io, argv, reply, describeKeys)
      },
    )
    .command(
      'rotate-key <name>',
      'A new content encryption key now',
      args =>
        args
          .positional('name', nameOption)
          .example('$0 storage-group rotate-key office', 'Before its interval is over'),
      async argv => {
        const { name } = argv
        const reply = await withControl(io, argv, client =>
          client.call('storageGroup.rotateKey', { name }),
        )
        print(io, argv, reply, () => `The storage group ${name} has a new key.\n`)
      },
    )
}

/** As JSON carries it; the bytes are wiped. @throws UsageError when they aren't UTF-8: nothing is replaced silently */
function takeText(secret: Buffer): string {
  const isText = isUtf8(secret)
  const text = secret.toString()
  secret.fill(0)
  if (!isText) throw new UsageError('A passphrase must be valid UTF-8.')
  return text
}

/** The lines of `show` and `encryption`. */
export function encryptionPairs(group: GroupInfo): [string, string | number][] {
  const { isEncrypted, isLocked, hasPassphrase, mode, intervalDays } = group
  if (!isEncrypted) {
    return [
      ['Encryption', 'off'],
      ['Passphrase', hasPassphrase ? 'set' : 'not set'],
    ]
  }
  return [
    ['Encryption', isLocked ? 'on, locked' : 'on'],
    ['Mode', mode ?? 'unknown'],
    ...(intervalDays === null ? [] : [['Interval', `${intervalDays} days`] as [string, string]]),
    ['Encrypted', `${group.encryptedPercent.toFixed(2)} %`],
  ]
}

function describeEncryption(group: GroupInfo): string {
  return formatPairs([['Name', group.name], ...encryptionPairs(group)])
}

function describeKeys({ keys, clearBytes, pendingBytes }: Keys): string {
  const table = formatTable(
    ['Id', 'State', 'Created', 'Retired', 'Bytes'],
    keys.map(key => [
      key.id,
      key.state,
      key.createdAt,
      key.retiredAt ?? '-',
      formatSize(key.bytes),
    ]),
  )
  const rest = formatPairs([
    ['Not Encrypted', formatSize(clearBytes)],
    ['To Be Encrypted', formatSize(pendingBytes)],
  ])
  return `${table}\n${rest}`
}
