// The command line of the benchmark.

import { parseArgs } from 'node:util'

const MEBIBYTE = 2 ** 20
const GIBIBYTE = 2 ** 30
const MILLION = 1e6

/** How much of everything there is. */
export interface Sizes {
  /** random data, tar, data beside a big index */
  readonly dataBytes: number
  readonly imageBytes: number
  /** of all streams together */
  readonly streamsBytes: number
  readonly files: number
  readonly transactions: number
  readonly generations: number
  readonly generationBytes: number
  /** chunks that an index has, one measurement each */
  readonly chunks: readonly number[]
  /** directories of an older and a newer version; undefined: packages of npm */
  readonly trees: readonly [older: string, newer: string] | undefined
}

export interface BenchOptions {
  /** names of groups; undefined: all */
  readonly only: readonly string[] | undefined
  /** names of columns; undefined: all that are installed */
  readonly targets: readonly string[] | undefined
  readonly runs: number
  /** 0: memory is not measured */
  readonly memoryBytes: number
  readonly directory: string
  readonly isQuick: boolean
  /** every time limit is so much longer */
  readonly patience: number
  readonly profile: string | undefined
  /** free memory isn't handed back to the host meanwhile */
  readonly keepsMemory: boolean
  readonly sizes: Sizes
}

const FULL = {
  runs: 5,
  size: 1024,
  image: 4096,
  streams: 512,
  files: 25_000,
  transactions: 300,
  generations: 30,
  generation: 384,
  chunks: '1,10',
}

/** For trying whether everything works; the figures say little. */
const QUICK: typeof FULL = {
  runs: 1,
  size: 64,
  image: 128,
  streams: 64,
  files: 1200,
  transactions: 50,
  generations: 5,
  generation: 32,
  chunks: '0.1',
}

export const USAGE = `usage: npm run bench -- [options]

  --only NAMES         groups of workloads, with commas: basic, cryfs, image, streams, tree, durability, generations,
                       growth, index (default: all)
  --targets NAMES      columns, with commas, of those that a group has: coffer, sealed (coffer, encrypted), gocryptfs,
                       cryfs, nothing, plain, restic, borg (default: what is installed, cryfs in its own group only)
  --runs N             how often everything is measured; medians are printed (default ${FULL.runs})
  --quick              all sizes small and one run: for trying
  --size MiB           of the random data and of the tar (default ${FULL.size})
  --image MiB          of the image of a virtual machine (default ${FULL.image})
  --streams MiB        of parallel streams, together (default ${FULL.streams})
  --files N            of the tree (default ${FULL.files})
  --transactions N     of the database (default ${FULL.transactions})
  --generations N      of daily backups (default ${FULL.generations})
  --generation MiB     of one of them (default ${FULL.generation})
  --chunks MILLIONS    of an index, with commas (default ${FULL.chunks}; 100 takes 10 GB and minutes)
  --trees OLD,NEW      two versions of a tree (default: of some npm packages)
  --memory GiB         also copy that much into a daemon and print how much memory it took
  --keep-memory        on a virtual machine that hands free memory back to its host: not during the benchmark
  --patience FACTOR    every time limit is so much longer (default 1)
  --profile DIR        daemons leave CPU profiles there (see dist/bench/profile-top.js)
  --directory DIR      on the disk to measure (default /var/tmp)`

/** Streams and generations are cut in equal parts, of whole MiB. */
const STREAMS_MULTIPLE = 8

/** Undefined when help was asked for. @throws when an option makes no sense */
export function parseOptions(args: string[]): BenchOptions | undefined {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean', default: false } as const
  const { values } = parseArgs({
    args,
    options: {
      only: text,
      targets: text,
      runs: text,
      quick: flag,
      size: text,
      image: text,
      streams: text,
      files: text,
      transactions: text,
      generations: text,
      generation: text,
      chunks: text,
      trees: text,
      memory: { type: 'string', default: '0' },
      'keep-memory': flag,
      patience: { type: 'string', default: '1' },
      profile: text,
      // Unlike /tmp, never in memory.
      directory: { type: 'string', default: '/var/tmp' },
      help: flag,
    },
  })
  if (values.help) return undefined
  const form = values.quick ? QUICK : FULL
  type CountName = Exclude<keyof typeof FULL, 'chunks'>
  const count = (name: CountName, min = 1, multiple = 1): number =>
    wholeNumber(name, values[name] ?? String(form[name]), min, multiple)
  return {
    only: listOf(values.only),
    targets: listOf(values.targets),
    runs: count('runs'),
    memoryBytes: wholeNumber('memory', values.memory, 0) * GIBIBYTE,
    directory: values.directory,
    isQuick: values.quick,
    patience: positive('patience', values.patience),
    profile: values.profile,
    keepsMemory: values['keep-memory'],
    sizes: {
      dataBytes: count('size') * MEBIBYTE,
      imageBytes: count('image') * MEBIBYTE,
      streamsBytes: count('streams', STREAMS_MULTIPLE, STREAMS_MULTIPLE) * MEBIBYTE,
      files: count('files'),
      transactions: count('transactions'),
      generations: count('generations', 2),
      generationBytes: count('generation') * MEBIBYTE,
      chunks: (values.chunks ?? form.chunks)
        .split(',')
        .map(millions => Math.round(positive('chunks', millions) * MILLION)),
      trees: parseTrees(values.trees),
    },
  }
}

function listOf(text: string | undefined): string[] | undefined {
  return text?.split(',').map(name => name.trim())
}

function wholeNumber(name: string, text: string, min: number, multiple = 1): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isInteger(value) && value >= min && value % multiple === 0) {
    return value
  }
  const which = multiple === 1 ? 'a whole number' : `a multiple of ${multiple}`
  throw new Error(`--${name} needs ${which}, at least ${min}`)
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new Error(`--${name} needs a number above 0`)
}

function parseTrees(text: string | undefined): readonly [string, string] | undefined {
  if (text === undefined) return undefined
  const [older, newer, ...others] = text.split(',')
  if (older && newer && others.length === 0) return [older, newer]
  throw new Error('--trees needs two directories, with a comma between them')
}
