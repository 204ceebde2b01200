// Every command through the real program against one real daemon, with --json: what it prints is what the schema of its
// control method says, no more and no less. A command without a line here fails the test.

import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import t from 'tap'
import type { Test } from 'tap'
import { z } from 'zod'

import { rewriteArgv } from '../../src/cli/argv.ts'
import { outlineCommands } from '../../src/cli/commands.ts'
import type { CliIo } from '../../src/cli/io.ts'
import { listCommands } from '../../src/cli/outline.ts'
import { methods } from '../../src/control/methods.ts'
import { nothing } from '../../src/control/schemas.ts'
import { MountedCoffer, mountSkipReason, tool } from '../helpers/mounted.ts'
import { startMailServer } from '../helpers/smtp.ts'
import { commandLines } from './command-lines.ts'
import type { Line } from './command-lines.ts'

/** They begin and end the daemon, or need none. The test runs each of them itself. */
const elsewhere = ['start', 'run', 'stop', 'recover', 'completion']

const started = z.object({
  pid: z.int().positive(),
  store: z.string(),
  mount: z.string(),
  socket: z.string(),
  allowOther: z.boolean(),
  keystoreBackup: z.string(),
  notices: z.array(z.string()),
  warnings: z.array(z.string()),
})

async function runLine(
  t: Test,
  coffer: MountedCoffer,
  line: string,
  answer: z.ZodType,
): Promise<unknown> {
  const printed = await coffer
    .json<unknown>(...line.split(' '))
    .catch((error: Error) => error.message)
  const parsed = answer.safeParse(printed)
  t.same(parsed.error?.issues ?? [], [], line)
  // Schemas of results drop what they don't know.
  if (parsed.success) t.strictSame(parsed.data, printed, `${line}: nothing else`)
  return printed
}

async function runLines(t: Test, coffer: MountedCoffer, lines: readonly Line[]): Promise<void> {
  const fields = new Map<string, unknown>()
  for (const [line, answer] of lines) {
    const filled = line.replaceAll(/\{(\w+)\}/g, (_, field: string) => String(fields.get(field)))
    const printed = await runLine(t, coffer, filled, answer)
    if (typeof printed !== 'object' || printed === null) continue
    for (const [field, value] of Object.entries(printed)) fields.set(field, value)
  }
}

t.test('no command is left out', async t => {
  const lines = commandLines({ mailPort: 1, passphraseFile: '-' })
    .flat()
    .map(([line]) => line.split(' '))
  const isPrefix = (path: readonly string[], words: readonly string[]): boolean =>
    path.every((word, index) => words[index] === word)
  for (const { path } of listCommands(outlineCommands({} as CliIo))) {
    const command = path.join(' ')
    if (elsewhere.includes(command)) continue
    t.ok(
      lines.some(words => isPrefix(path, words)),
      command,
    )
    const [family = '', verb] = path.map(word => word.replaceAll('-', '_'))
    if (verb === undefined) continue
    const theirs = [family, `--${verb}`]
    if (!isPrefix(path, rewriteArgv(theirs))) continue
    t.ok(
      lines.some(words => words[0] === family && words.includes(`--${verb}`)),
      theirs.join(' '),
    )
  }
  t.ok(
    lines.some(words => words.join(' ') === 'system --show'),
    'the one that is called otherwise',
  )
})

t.test('every command against one daemon', { skip: mountSkipReason }, async t => {
  const coffer = new MountedCoffer()
  t.teardown(() => coffer.remove())
  const server = await startMailServer()
  t.teardown(() => server.close())
  const passphraseFile = join(coffer.base, 'passphrase')
  await writeFile(passphraseFile, 'correct horse\n')

  const daemon = await coffer.runInForeground()
  const ended = once(daemon, 'exit')
  const lists = commandLines({ mailPort: server.port, passphraseFile })
  await Promise.all(lists.map(lines => runLines(t, coffer, lines)))
  t.equal(server.mails.length, 2, 'test mails')
  await runLine(t, coffer, 'stop', nothing)
  t.strictSame(await ended, [0, null], 'run ends with status 0')

  const options = `--store ${coffer.store} --mount ${coffer.mount} --keystore-backup ${coffer.keystoreBackup}`
  await runLine(t, coffer, `start ${options}`, started)
  const status = methods['system.status'].result
  t.match(await runLine(t, coffer, 'status', status), { containers: 0, alerts: [] })
  await runLine(t, coffer, 'stop --force --yes', nothing)

  const script = await coffer.coffer('completion')
  const check = join(coffer.base, 'completion')
  await writeFile(check, script)
  await tool('bash', '-n', check)
  t.match(script, /coffer/, 'a script that bash reads')
})
