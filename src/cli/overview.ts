// `coffer --help`: all commands of all families on one page. yargs would only name the families.

import { outlineCommands } from './commands.ts'
import type { CliIo } from './io.ts'
import { listCommands } from './outline.ts'
import type { CommandOutline } from './outline.ts'

/** Whether help is asked for, and not of one command. */
export function asksForOverview(args: readonly string[]): boolean {
  const [word, ...others] = args.filter(arg => arg !== '--json')
  return others.length === 0 && (word === '--help' || word === 'help')
}

/** Print the page. */
export function printOverview(io: CliIo): void {
  io.out(writeOverview(outlineCommands(io)))
}

/** The page, with a final newline. */
export function writeOverview(outline: CommandOutline): string {
  const single = outline.commands.filter(({ commands }) => commands.length === 0)
  const families = outline.commands.filter(({ commands }) => commands.length > 0)
  const sections = [
    section(
      'Commands',
      single.map(command => [`coffer ${command.usage}`, command.summary]),
    ),
    ...families.map(family =>
      section(
        family.summary,
        listCommands(family, ['coffer', family.name]).map(({ path, command }) => [
          [...path.slice(0, -1), command.usage].join(' '),
          command.summary,
        ]),
      ),
    ),
    section('Options of all commands', [
      ...outline.options.map(({ name, summary }): Row => [`--${name}`, summary]),
      ['--help', 'Say more of a command, with examples'],
      ['--version', 'Print the version'],
    ]),
  ]
  const width = Math.max(...sections.flatMap(({ rows }) => rows.map(([left]) => left.length)))
  const texts = sections.map(({ heading, rows }) => {
    const lines = rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`)
    return `${heading}\n${lines.join('')}`
  })
  return ['coffer <command>\n', ...texts].join('\n')
}

type Row = readonly [left: string, right: string]

function section(heading: string, rows: readonly Row[]): { heading: string; rows: readonly Row[] } {
  return { heading, rows }
}
