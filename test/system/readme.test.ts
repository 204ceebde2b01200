// The transcript in README.md, replayed on a store, a mount and data of the test: every command succeeds and prints what is
// shown there.

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

import t from 'tap'

import { MountedCoffer, mountSkipReason } from '../helpers/mounted.ts'

const run = promisify(execFile)
const checkout = resolve(import.meta.dirname, '../../..')
/** Stands for the rest of a line, or for any lines. */
const LEFT_OUT = '…'
const PROMPT = '$ '
const FILE_BYTES = 3_000_000
/** An absolute path, but for the source of random bytes. */
const OUTSIDE = /(?:^|[\s=<>(])[/~](?!dev\/urandom\b)/

interface Step {
  command: string
  /** What is shown below it. Without any, it doesn't matter what the command prints. */
  shown: string[]
}

/** The steps of the block that begins with this fence. */
function transcriptOf(markdown: string): Step[] {
  const [, block] = /^```console\n([^]*?)^```$/m.exec(markdown) ?? []
  if (block === undefined) throw new Error('README.md has no transcript')
  const steps: Step[] = []
  for (const line of block.split('\n')) {
    if (line.startsWith(PROMPT)) steps.push({ command: line.slice(PROMPT.length), shown: [] })
    else if (line !== '') steps.at(-1)?.shown.push(line)
  }
  return steps
}

function patternOf(shown: readonly string[]): RegExp {
  const lines = shown.map(line =>
    line === LEFT_OUT ? '(?:.*\n)*?' : `${line.split(LEFT_OUT).map(quote).join('.*')} *\n`,
  )
  return new RegExp(`^${lines.join('')}$`)
}

function quote(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`)
}

t.test('the transcript of the README', { skip: mountSkipReason }, async t => {
  const coffer = new MountedCoffer()
  t.teardown(() => coffer.remove())
  const source = join(coffer.base, 'source')
  await mkdir(source)
  await writeFile(join(source, 'random'), randomBytes(FILE_BYTES))
  await writeFile(join(source, 'text'), 'some words\n'.repeat(1000))
  const places: Readonly<Record<string, string>> = {
    '/srv/store': coffer.store,
    '/mnt/coffer': coffer.mount,
    '/root/coffer-keystores': coffer.keystoreBackup,
    '/root/vault-passphrase': join(coffer.base, 'passphrase'),
    '/etc': source,
  }
  const pattern = new RegExp(`(?<![\\w/])(?:${Object.keys(places).join('|')})(?![\\w-])`, 'g')
  const place = (text: string): string => text.replaceAll(pattern, found => places[found] ?? found)

  const steps = transcriptOf(await readFile(join(checkout, 'README.md'), 'utf8'))
  t.ok(
    steps.some(({ command }) => command.includes('maintenance reclaim-space --wait')),
    'the cleaner is shown',
  )
  const env = { ...process.env, COFFER_SOCKET: coffer.socket }
  for (const { command, shown } of steps) {
    // What is not a place of the test must not even be tried.
    if (OUTSIDE.test(command.replaceAll(pattern, 'place'))) throw new Error(`not run: ${command}`)
    const bash = run('bash', ['-euo', 'pipefail', '-c', place(command)], { cwd: checkout, env })
    const stdout = await bash.then(
      result => result.stdout,
      (error: Error) => error,
    )
    if (stdout instanceof Error) t.fail(stdout.message)
    else t.match(stdout, shown.length > 0 ? patternOf(shown.map(place)) : /^/, command)
  }
  t.same(await readdir(coffer.mount), [], 'unmounted')
})
