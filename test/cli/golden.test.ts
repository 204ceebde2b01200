// What every command prints, to the letter, as transcripts in test/cli/golden: a change of output shows up as a change
// of a file. Write them anew with: COFFER_GOLDEN=write node dist/test/cli/golden.test.js

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

import t from 'tap'
import type { RecoveryOptions, RecoveryReport } from '../../src/daemon/contract.ts'
import type { Test } from 'tap'

import { outlineCommands } from '../../src/cli/commands.ts'
import type { CliIo } from '../../src/cli/io.ts'
import { listCommands } from '../../src/cli/outline.ts'
import type { CommandOutline } from '../../src/cli/outline.ts'
import { goldenSessions, goldenTarget } from './golden-sessions.ts'
import type { Step } from './golden-sessions.ts'
import { run as runLine, serveTarget } from './run.ts'

const folder = new URL('../../../test/cli/golden/', import.meta.url)
const isWriting = process.env['COFFER_GOLDEN'] === 'write'
const outline = outlineCommands({} as CliIo)

/** What a transcript has instead of the test's own socket. */
const SOCKET = '/run/coffer/coffer.sock'

async function matchGolden(t: Test, name: string, text: string): Promise<void> {
  const file = fileURLToPath(new URL(`${name}.txt`, folder))
  if (isWriting) {
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
  }
  t.equal(text, await readFile(file, 'utf8'), `${name}.txt`)
}

/** A command line and all that the terminal shows after it. */
async function transcribe(env: { COFFER_SOCKET?: string }, step: Step): Promise<string> {
  const answers = [...(step.answers ?? [])]
  let asked = ''
  const ask = (isShown: boolean) => async (question: string) => {
    const answer = answers.shift()
    if (answer !== undefined) asked += `${question}${isShown ? answer : ''}\n`
    return answer
  }
  const io = {
    env,
    ask: ask(true),
    askSecret: ask(false),
    loadDaemon: async () => endingDaemon,
    loadRecovery: async () => recovery,
  }
  const { status, out, err } = await runLine(step.line, io)
  const ending = status === 0 ? '' : `[status ${status}]\n`
  const text = `$ coffer ${step.line}\n${asked}${out}${err}${ending}`
  return env.COFFER_SOCKET === undefined ? text : text.replaceAll(env.COFFER_SOCKET, SOCKET)
}

const endingDaemon = {
  startDaemon: async () => ({
    notices: [],
    warnings: [],
    stopped: Promise.resolve(),
    stop: async () => {},
  }),
}

/** From a copy that lacks some commits, to a store that lacks a block file. */
const recovery = {
  recoverStore: async ({ isDryRun, progress }: RecoveryOptions): Promise<RecoveryReport> => {
    progress('Looking at the metadata')
    return {
      isDryRun,
      source: 'copy',
      sequence: 4711,
      writtenAt: '2026-01-02T03:04:05.000Z',
      lastSequence: 4715,
      metadataTrouble: 'It is missing.',
      blockFiles: 26,
      unreadableBlockFiles: ['/srv/store/blocks/1/000000/0000000a.blk'],
      extents: 123_456,
      lostFiles: [{ inode: 77, bytes: 3 * 1024 ** 2 }],
      lostFileCount: 1,
      lostBytes: 3 * 1024 ** 2,
      keptAside: isDryRun ? null : '/srv/store/metadata.lost-2026-01-02T030405.000Z',
    }
  },
}

for (const [name, steps] of Object.entries(goldenSessions)) {
  t.test(name, async t => {
    // Two daemons that go through the same: one is read by people, the other by programs.
    const people = await serveTarget(t, goldenTarget())
    const programs = await serveTarget(t, goldenTarget())
    const texts: string[] = []
    for (const step of steps) {
      const text = await transcribe(people.env, step)
      const json = await transcribe(programs.env, { ...step, line: `${step.line} --json` })
      // Errors are words in both.
      texts.push(text, ...(text.includes('\n[status ') ? [] : [json]))
    }
    await matchGolden(t, name, texts.join('\n'))
  })
}

t.test('help', async t => {
  const helpOf = async (command: CommandOutline, path: readonly string[]): Promise<string[]> => {
    const text = await transcribe({}, { line: [...path, '--help'].join(' ') })
    const below = command.commands.map(child => helpOf(child, [...path, child.name]))
    // That of completion is the script it prints, which is yargs's.
    return command.name === 'completion' ? [] : [text, ...(await Promise.all(below)).flat()]
  }
  await matchGolden(t, 'help', (await helpOf(outline, [])).join('\n'))
})

t.test('no daemon, no place for its socket', async t => {
  const lines = [
    'status',
    'status --socket /nonexistent/sock',
    'storage-group show --socket /nonexistent/sock',
  ]
  const texts = []
  for (const line of lines) texts.push(await transcribe({}, { line }))
  await matchGolden(t, 'no-daemon', texts.join('\n'))
})

t.test('no command is left out', async t => {
  const lines = Object.values(goldenSessions).flatMap(steps => steps.map(({ line }) => line))
  for (const { path } of listCommands(outline)) {
    if (path[0] === 'completion') continue
    const command = path.join(' ')
    t.ok(
      lines.some(line => `${line} `.startsWith(`${command} `)),
      command,
    )
  }
})
