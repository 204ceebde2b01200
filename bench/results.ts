// Keeps what was measured, and where, as JSON: bench/results/DATE.json.

import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import type { MemoryResult } from './memory.ts'
import type { BenchOptions } from './options.ts'
import { run } from './processes.ts'
import { summarize, type Row } from './table.ts'

/** The benchmark runs compiled, from dist/bench/. */
const CHECKOUT = resolve(import.meta.dirname, '../..')

export interface Results {
  readonly options: BenchOptions
  readonly rows: readonly Row[]
  readonly memory: MemoryResult | undefined
  /** load averages: a busy machine explains odd numbers */
  readonly loadBefore: readonly number[]
  readonly loadAfter: readonly number[]
}

/** Returns the path of the new file. */
export async function saveResults({ rows, ...results }: Results): Promise<string> {
  const date = new Date().toISOString()
  const commit = await run('git', ['-C', CHECKOUT, 'describe', '--always', '--dirty']).then(
    output => output.trim(),
    () => undefined,
  )
  const processors = cpus()
  const document = {
    date,
    commit,
    node: process.version,
    processor: processors[0]?.model,
    processorCount: processors.length,
    memoryBytes: totalmem(),
    ...results,
    workloads: rows.map(row => ({ ...row, ...summarize(row) })),
  }
  const directory = join(CHECKOUT, 'bench/results')
  await mkdir(directory, { recursive: true })
  const path = join(directory, `${date.replaceAll(':', '-')}.json`)
  await writeFile(path, `${JSON.stringify(document, undefined, 2)}\n`)
  return path
}
