// What a mistyped command line is answered with, and what help says of every command.

import t from 'tap'

import { outlineCommands } from '../../src/cli/commands.ts'
import type { CliIo } from '../../src/cli/io.ts'
import { explainMistake, findClosest } from '../../src/cli/mistakes.ts'
import { findCommand, listCommands } from '../../src/cli/outline.ts'
import type { CommandOutline } from '../../src/cli/outline.ts'
import { asksForOverview, writeOverview } from '../../src/cli/overview.ts'

const outline = outlineCommands({} as CliIo)

t.test('a slip is told from another word', async t => {
  const known = ['start', 'stop', 'status', 'stats', 'storage-group', 'container']
  const slips: [word: string, meant: string | undefined][] = [
    ['contianer', 'container'],
    ['storagegroup', 'storage-group'],
    ['statuss', 'status'],
    ['stpo', 'stop'],
    ['stor', 'storage-group'],
    ['stat', 'stats'],
    ['s', undefined],
    ['sto', 'stop'],
    ['bogus', undefined],
    ['', undefined],
  ]
  for (const [word, meant] of slips) t.equal(findClosest(word, known), meant, word)
})

t.test('the wrong word is found wherever it is', async t => {
  const cases: [line: string, answer: RegExp][] = [
    ['contianer add x', /command: contianer\. Did you mean "coffer container"\? .*"coffer --help"/],
    [
      'container ad x',
      /command: ad\. Did you mean "coffer container add"\? .*"coffer container --h/,
    ],
    ['--socket s contaner', /command: contaner\. Did you mean "coffer container"/],
    ['--socket=s --json contaner', /command: contaner\./],
    ['maintenance diagnostics colect', /"coffer maintenance diagnostics collect"/],
    ['container add x --grup g', /option: --grup\. Did you mean --group\? .*container add --help/],
    ['container add x --grup=g', /option: --grup\. Did you mean --group\?/],
    ['container delete x --delete-file', /Did you mean --delete-files\?/],
    ['status --jsno', /Did you mean --json\?/],
    ['status --hlep', /Did you mean --help\?/],
    ['container add x --bogus', /^Unknown option: --bogus; see "coffer container add --help"\.$/],
    ['bogus', /^Unknown command: bogus; see "coffer --help"\.$/],
    // Nothing is misspelt: the complaint stands.
    ['container add x y', /^Complaint; see "coffer container add --help"\.$/],
    ['container', /^Complaint; see "coffer container --help"\.$/],
    ['container delete x --deleteFiles --no-yes y', /^Complaint/],
    ['events show --index -5 y', /^Complaint/],
    ['container add x y -- --grup', /^Complaint/],
    ['run --quota-min 5', /^Complaint/],
    ['run --quota-mni 5', /^Unknown option: --quota-mni; see/],
  ]
  for (const [line, answer] of cases) {
    t.match(explainMistake(outline, line.split(' '), 'Complaint.'), answer, line)
  }
})

t.test('every command has an example, and each example is of its command', async t => {
  for (const { path, command } of listCommands(outline)) {
    // Its help is the script that it prints.
    if (command.name === 'completion') continue
    t.ok(command.examples.length > 0, path.join(' '))
    for (const { line, summary } of command.examples) {
      t.ok(line.includes(['coffer', ...path].join(' ')), line)
      t.not(summary, '', line)
    }
  }
})

t.test('every family has an example, of a command that exists', async t => {
  const check = (family: CommandOutline): void => {
    if (family.commands.length === 0) return
    t.ok(family.examples.length > 0, family.name)
    for (const { line } of family.examples) {
      const words = line.split(' ').slice(1)
      const depth = words.findIndex((_, index) => !findCommand(outline, words.slice(0, index + 1)))
      const command = findCommand(outline, depth === -1 ? words : words.slice(0, depth))
      t.equal(command?.commands.length, 0, line)
    }
    family.commands.forEach(check)
  }
  outline.commands.forEach(check)
})

t.test('the overview names every command', async t => {
  const text = writeOverview(outline)
  for (const { path } of listCommands(outline)) t.match(text, `\n  coffer ${path.join(' ')} `)
  t.match(text, /\n {2}--socket +/)
  for (const line of ['--help', 'help', '--json --help']) t.ok(asksForOverview(line.split(' ')))
  for (const line of ['', 'status --help', '--json']) t.notOk(asksForOverview(line.split(' ')))
})
