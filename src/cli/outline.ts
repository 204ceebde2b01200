// All commands as data: what the overview, the manual and "did you mean" are made from. The definitions are written for
// yargs, which only tells what it knows as finished help; so they are run once with a recorder in yargs's place.

import type { Argv, CommandBuilder, Options, PositionalOptions } from 'yargs'

import type { GlobalArgs } from './common.ts'

/** An option, or a positional. */
export interface OptionOutline {
  name: string
  summary: string
  /** Whether it is followed by a value. */
  hasValue: boolean
  isRequired: boolean
  /** Accepted, and not told of. */
  isHidden: boolean
  choices: readonly string[]
}

export interface ExampleOutline {
  line: string
  summary: string
}

export interface CommandOutline {
  name: string
  /** The name and its positionals: `add <name>`. */
  usage: string
  summary: string
  positionals: OptionOutline[]
  options: OptionOutline[]
  examples: ExampleOutline[]
  commands: CommandOutline[]
}

/** Run definitions and return what they define, under a command of the given name. */
export function outlineOf(
  name: string,
  define: (yargs: Argv<GlobalArgs>) => unknown,
): CommandOutline {
  const outline: CommandOutline = {
    name,
    usage: name,
    summary: '',
    positionals: [],
    options: [],
    examples: [],
    commands: [],
  }
  define(recorderOf(outline))
  return outline
}

/** The command that `path` leads to. */
export function findCommand(
  outline: CommandOutline,
  path: readonly string[],
): CommandOutline | undefined {
  return path.reduce<CommandOutline | undefined>(
    (from, name) => from?.commands.find(command => command.name === name),
    outline,
  )
}

/** All commands that do something, each with the words that lead to it. */
export function listCommands(
  outline: CommandOutline,
  path: readonly string[] = [],
): { path: readonly string[]; command: CommandOutline }[] {
  return outline.commands.flatMap(command => {
    const here = [...path, command.name]
    return command.commands.length === 0 ? [{ path: here, command }] : listCommands(command, here)
  })
}

/** Notes the calls that define something; all others are accepted and say nothing. */
function recorderOf(outline: CommandOutline): Argv<GlobalArgs> {
  const calls: Record<string, (...args: never[]) => void> = {
    command: (usage: string, summary: string | false, builder?: CommandBuilder) => {
      if (summary !== false) outline.commands.push(outlineCommand(usage, summary, builder))
    },
    option: (name: string, option: Options) => addOption(outline.options, name, option),
    options: (options: Record<string, Options>) => {
      for (const [name, option] of Object.entries(options)) addOption(outline.options, name, option)
    },
    positional: (name: string, option: PositionalOptions) =>
      addOption(outline.positionals, name, option),
    example: (line: string, summary: string) => {
      outline.examples.push({ line: line.replaceAll('$0', 'coffer'), summary })
    },
    completion: (usage: string, summary: string) => {
      outline.commands.push(outlineCommand(usage, summary, undefined))
    },
  }
  const recorder: Argv<GlobalArgs> = new Proxy({} as Argv<GlobalArgs>, {
    get: (_target, method) => {
      const call = typeof method === 'string' ? calls[method] : undefined
      return (...args: never[]) => {
        call?.(...args)
        return recorder
      }
    },
  })
  return recorder
}

function outlineCommand(
  usage: string,
  summary: string,
  builder: CommandBuilder | undefined,
): CommandOutline {
  const [name = ''] = usage.split(' ')
  const outline = outlineOf(name, recorder => {
    if (typeof builder === 'function') void builder(recorder)
  })
  return { ...outline, usage, summary }
}

function addOption(to: OptionOutline[], name: string, option: Options | PositionalOptions): void {
  to.push({
    name,
    summary: option.describe === undefined ? '' : String(option.describe),
    hasValue: option.type !== 'boolean',
    isRequired: option.demandOption !== undefined && option.demandOption !== false,
    isHidden: 'hidden' in option && option.hidden === true,
    choices: (option.choices ?? []).map(String),
  })
}
