// Words for a command line that was refused: which word is wrong, and which one was meant.

import { findCommand } from './outline.ts'
import type { CommandOutline, OptionOutline } from './outline.ts'

/** More slips than that and it is another word. */
const SLIPS_MAX = 3
/** One slip in so many letters. */
const LETTERS_PER_SLIP = 3
/** A beginning of one letter could be anything. */
const BEGINNING_MIN = 2

/**
 * One sentence or two about what is wrong with `args`.
 * @param complaint what yargs says, for mistakes other than misspelt words
 */
export function explainMistake(
  outline: CommandOutline,
  args: readonly string[],
  complaint: string,
): string {
  const path = findPath(outline, args)
  const mistake = findMisspelt(outline, path, args)
  const help = `"${['coffer', ...(mistake?.path ?? path), '--help'].join(' ')}"`
  if (mistake === undefined) {
    const clause = complaint.split('\n').join(' ').replace(/\.$/, '')
    return `${clause}; see ${help}.`
  }
  const { kind, word, meant } = mistake
  return meant === undefined
    ? `Unknown ${kind}: ${word}; see ${help}.`
    : `Unknown ${kind}: ${word}. Did you mean ${meant}? See ${help}.`
}

/** The closest of the known words, unless it is too far away to have been meant. What was only cut short comes first. */
export function findClosest(word: string, known: readonly string[]): string | undefined {
  const slipsMax = Math.min(SLIPS_MAX, Math.max(1, Math.floor(word.length / LETTERS_PER_SLIP)))
  const isBeginning = word.length >= BEGINNING_MIN && known.some(name => name.startsWith(word))
  const [closest] = known
    .map(name => ({ name, slips: countSlips(word, name) }))
    .filter(({ name, slips }) => (isBeginning ? name.startsWith(word) : slips <= slipsMax))
    .toSorted((a, b) => a.slips - b.slips)
  return closest?.name
}

interface Misspelt {
  kind: 'command' | 'option'
  /** The command that was understood. */
  path: readonly string[]
  word: string
  meant: string | undefined
}

/** The command that is meant, as far as it can be told: options and their values may stand between its words. */
function findPath(outline: CommandOutline, args: readonly string[]): string[] {
  const path: string[] = []
  let command = outline
  for (const word of beforeDashes(args)) {
    const next = findCommand(command, [word])
    if (next === undefined) continue
    path.push(word)
    command = next
  }
  return path
}

function findMisspelt(
  outline: CommandOutline,
  path: readonly string[],
  args: readonly string[],
): Misspelt | undefined {
  const options = [...outline.options, ...(findCommand(outline, path)?.options ?? [])]
  const { words, unknown } = splitWords(args, options)
  const stray = words.findIndex((word, index) => word !== path[index])
  const understood = stray === -1 ? path : path.slice(0, stray)
  const names = findCommand(outline, understood)?.commands.map(({ name }) => name) ?? []
  const word = words[stray]
  if (word !== undefined && names.length > 0) {
    const meant = findClosest(word, names)
    return {
      kind: 'command',
      path: understood,
      word,
      meant: meant && `"${['coffer', ...understood, meant].join(' ')}"`,
    }
  }
  if (unknown === undefined) return undefined
  const known = options.filter(({ isHidden }) => !isHidden).map(({ name }) => name)
  const meant = findClosest(unknown.replace(/^-+/, ''), [...known, 'help', 'version'])
  return { kind: 'option', path, word: unknown, meant: meant && `--${meant}` }
}

/**
 * The words that are neither options nor their values, up to the first option that is not known: behind that one it
 * can't be told what is a value.
 */
function splitWords(
  args: readonly string[],
  options: readonly OptionOutline[],
): { words: string[]; unknown: string | undefined } {
  const known = new Map(options.map(({ name, hasValue }) => [name, hasValue]))
  for (const name of ['help', 'version']) known.set(name, false)
  const words: string[] = []
  let isValue = false
  for (const word of beforeDashes(args)) {
    const [, option, name, value] = /^(--?([^=]+))(=.*)?$/s.exec(word) ?? []
    if (isValue) {
      isValue = false
    } else if (name === undefined) {
      words.push(word)
    } else {
      const hasValue = known.get(toKebab(name)) ?? known.get(toKebab(name.replace(/^no-/, '')))
      if (hasValue === undefined) return { words, unknown: option }
      isValue = hasValue && value === undefined
    }
  }
  return { words, unknown: undefined }
}

function beforeDashes(args: readonly string[]): readonly string[] {
  const end = args.indexOf('--')
  return end === -1 ? args : args.slice(0, end)
}

/** yargs takes `--deleteFiles` for `--delete-files`. */
function toKebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
}

/** How many letters were left out, added, mistaken or swapped with their neighbour (Damerau and Levenshtein). */
function countSlips(from: string, to: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= to.length; column += 1) {
      const isSame = from[row - 1] === to[column - 1]
      const isSwapped =
        row > 1 &&
        column > 1 &&
        from[row - 1] === to[column - 2] &&
        from[row - 2] === to[column - 1]
      current[column] = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
        isSwapped ? (beforeLast[column - 2] ?? 0) + 1 : Infinity,
      )
    }
    beforeLast = last
    last = current
  }
  return last[to.length] ?? 0
}
