// The command line of the benchmark.

import { parseArgs } from 'node:util'

export const USAGE = `usage: npm run bench -- [options]

  --runs N          how often everything is measured; medians are printed (default 3, 0: nothing)
  --size MiB        size of the random data and of the tar (default 1024)
  --memory GiB      also copy that much into a daemon and print how much memory it took
  --directory DIR   on the disk to measure (default /var/tmp)`

const MEBIBYTE = 2 ** 20
const GIBIBYTE = 2 ** 30

export interface BenchOptions {
  readonly runs: number
  readonly sizeBytes: number
  /** 0: memory is not measured */
  readonly memoryBytes: number
  readonly directory: string
}

/** Undefined when help was asked for. */
export function parseOptions(args: string[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      runs: { type: 'string', default: '3' },
      size: { type: 'string', default: '1024' },
      memory: { type: 'string', default: '0' },
      // Unlike /tmp, never in memory.
      directory: { type: 'string', default: '/var/tmp' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const count = (name: 'runs' | 'size' | 'memory', min: number): number => {
    const value = Number(values[name])
    if (!Number.isInteger(value) || value < min) {
      throw new Error(`--${name} needs a whole number of at least ${min}`)
    }
    return value
  }
  return {
    runs: count('runs', 0),
    sizeBytes: count('size', 1) * MEBIBYTE,
    memoryBytes: count('memory', 0) * GIBIBYTE,
    directory: values.directory,
  }
}
