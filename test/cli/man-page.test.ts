// docs/coffer.1 must say what the commands' definitions say, in macros that man understands.

import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

import t from 'tap'

import { outlineCommands } from '../../src/cli/commands.ts'
import type { CliIo } from '../../src/cli/io.ts'
import { writeManPage } from '../../src/cli/man-page.ts'
import { listCommands } from '../../src/cli/outline.ts'

const outline = outlineCommands({} as CliIo)
const page = new URL('../../../docs/coffer.1', import.meta.url)

t.test('the page is current', async t => {
  const text = await readFile(page, 'utf8')
  t.ok(text === writeManPage(outline), 'else: node dist/scripts/write-man-page.js')
})

t.test('the page names every command, option and example', async t => {
  const text = writeManPage(outline).replaceAll('\\-', '-')
  for (const { path, command } of listCommands(outline)) {
    t.ok(text.includes(`\n.B coffer ${path.join(' ')}`), path.join(' '))
    for (const { name, isHidden } of command.options) {
      t.equal(text.includes(`\n.BI --${name}`), !isHidden, name)
    }
    for (const { line } of command.examples) t.ok(text.includes(`\n${line}\n`), line)
  }
})

t.test('text that looks like a request is text', async t => {
  const command = { positionals: [], options: [], commands: [], usage: 'x', name: 'x' }
  const examples = [{ line: '.so /etc/passwd', summary: "'quoted' \\n" }]
  const text = writeManPage({ ...outline, commands: [{ ...command, summary: '.de', examples }] })
  t.match(text, '\n\\&.de.\n')
  t.match(text, '\n\\&.so /etc/passwd\n')
  t.match(text, "\n\\&'quoted' \\en:\n")
})

const hasGroff = spawnSync('groff', ['--version']).status === 0
t.test('groff has nothing to complain of', { skip: hasGroff ? false : 'no groff' }, async t => {
  const options = ['-man', '-Tutf8', '-ww', '-z', fileURLToPath(page)]
  const { status, stderr } = spawnSync('groff', options, { encoding: 'utf8' })
  t.equal(status, 0)
  t.equal(stderr, '')
})
