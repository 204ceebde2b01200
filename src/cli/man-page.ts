// Writes docs/coffer.1 from the definitions of the commands, so that the manual can't disagree with them.

import { exitCodes } from './exit-codes.ts'
import { listCommands } from './outline.ts'
import type { CommandOutline, ExampleOutline, OptionOutline } from './outline.ts'

/** The whole page, in the macros of man(7), with a final newline. */
export function writeManPage(outline: CommandOutline): string {
  const blocks = [
    '.\\" Written by src/cli/man-page.ts from the definitions of the commands; a test checks that it is current.',
    // Without a date: the page changes when a command does.
    '.TH COFFER 1 "" coffer "User Commands"',
    '.SH NAME',
    'coffer \\- a deduplicating, compressing, encrypting backup target that you mount',
    '.SH SYNOPSIS',
    '.B coffer',
    '.I command',
    '.RI [ options ]',
    '.SH DESCRIPTION',
    ...description,
    '.SH OPTIONS OF ALL COMMANDS',
    ...outline.options.flatMap(optionLines),
    ...definition('.B \\-\\-help', 'Say more of a command.'),
    ...definition('.B \\-\\-version', 'Print the version.'),
    '.SH COMMANDS',
    ...outline.commands.filter(isSingle).flatMap(command => commandLines([], command)),
    ...outline.commands.filter(command => !isSingle(command)).flatMap(familyLines),
    ...closing,
  ]
  return `${blocks.join('\n')}\n`
}

const description = [
  'The daemon of a store is started, watched and controlled with this command.',
  'All commands but',
  '.BR start ", " run " and " completion',
  'talk to a daemon that runs, over its control socket.',
  '.PP',
  'What destroys data or interrupts its use asks first;',
  '.B \\-\\-yes',
  'answers. Without a terminal and without',
  '.B \\-\\-yes',
  'nothing is done.',
  '.PP',
  'Sizes are written as 64KiB, 100GiB or 1TB, durations as 30d or 2 years. A unit that is not known is an error.',
]

const closing = [
  '.SH ENVIRONMENT',
  ...definition('.B COFFER_SOCKET', 'The control socket, where \\-\\-socket does not say it.'),
  ...definition(
    '.B XDG_RUNTIME_DIR',
    'Holds the control socket of users other than root, unless it is named otherwise.',
  ),
  ...definition('.B DEBUG', 'With coffer:* a command says on standard error what it does.'),
  '.SH FILES',
  ...definition('.I /run/coffer/coffer.sock', "The control socket of root's daemon."),
  ...definition('.I STORE/daemon.log', 'What a daemon in the background has to say.'),
  '.SH EXIT STATUS',
  ...definition(`.B ${exitCodes.ok}`, 'It is done.'),
  ...definition(
    `.B ${exitCodes.failed}`,
    'It failed, or was not confirmed; standard error says why.',
  ),
  ...definition(`.B ${exitCodes.usage}`, 'The command line is wrong.'),
  ...definition(`.B ${exitCodes.noDaemon}`, 'No daemon answers.'),
]

function isSingle(command: CommandOutline): boolean {
  return command.commands.length === 0
}

function familyLines(family: CommandOutline): string[] {
  return [
    `.SS ${quote(family.summary)}`,
    ...listCommands(family, [family.name]).flatMap(({ path, command }) =>
      commandLines(path.slice(0, -1), command),
    ),
  ]
}

/** One command: how it is typed, what it does, its options, its examples. */
function commandLines(family: readonly string[], command: CommandOutline): string[] {
  const [name = '', ...positionals] = command.usage.split(' ')
  const words = ['coffer', ...family, name].map(escape).join(' ')
  const title = `.B ${[words, ...positionals.map(word => `\\fI${escape(word)}\\fP`)].join(' ')}`
  const options = command.options.filter(({ isHidden }) => !isHidden)
  return [
    ...definition(title, sentence(command.summary)),
    '.RS',
    ...options.flatMap(optionLines),
    ...exampleLines(command.examples),
    '.RE',
  ]
}

function optionLines({ name, summary, hasValue, isRequired, choices }: OptionOutline): string[] {
  const value = choices.length > 0 ? choices.join('|') : name.replace(/^.*-/, '').toUpperCase()
  const title = `.BI \\-\\-${escape(name)}${hasValue ? ` " ${escape(value)}"` : ''}`
  return definition(title, sentence(isRequired ? `${summary} (required)` : summary))
}

function exampleLines(examples: readonly ExampleOutline[]): string[] {
  return examples.flatMap(({ line, summary }) => [
    '.PP',
    sentence(`${summary}:`),
    '.RS',
    '.EX',
    protect(escape(line)),
    '.EE',
    '.RE',
  ])
}

function definition(title: string, text: string): string[] {
  return ['.TP', title, text]
}

/** A summary as running text. */
function sentence(summary: string): string {
  return protect(escape(/[.:]$/.test(summary) ? summary : `${summary}.`))
}

/** What troff would take for its own: backslashes, and dashes, which it may print as hyphens. */
function escape(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-')
}

/** A line that begins with a dot or a quote would be a request. */
function protect(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line
}

function quote(text: string): string {
  return `"${escape(text).replaceAll('"', '\\(dq')}"`
}
