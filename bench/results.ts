// Keeps what was measured, and where: bench/results/DATE.json for programs, bench/results/DATE.md to be pasted. Both are
// written again after each group, so that what a run has found stays when it is interrupted.

import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { isFreeMemoryReported } from './free-memory.ts'
import type { GroupResult } from './measurement.ts'
import type { MemoryResult } from './memory.ts'
import type { BenchOptions } from './options.ts'
import { run } from './processes.ts'
import { formatMemory, formatProcessors, formatTable, summarize } from './table.ts'

/** The benchmark runs compiled, from dist/bench/. */
const CHECKOUT = resolve(import.meta.dirname, '../..')
const GIBIBYTE = 2 ** 30

export class Results {
  readonly #options: BenchOptions
  readonly #date = new Date().toISOString()
  /** load averages: a busy machine explains odd numbers */
  readonly #loadBefore = loadavg()
  readonly #groups: GroupResult[] = []
  #memory: MemoryResult | undefined

  constructor(options: BenchOptions) {
    this.#options = options
  }

  async addGroup(result: GroupResult): Promise<void> {
    this.#groups.push(result)
    await this.#save()
  }

  async addMemory(memory: MemoryResult): Promise<void> {
    this.#memory = memory
    await this.#save()
  }

  /** Whether everything that was to be measured was. */
  get isWhole(): boolean {
    return this.#groups.every(({ failures, isCutShort }) => failures.length === 0 && !isCutShort)
  }

  /** Without its ending, which is .json or .md. */
  get path(): string {
    return join(CHECKOUT, 'bench/results', this.#date.replaceAll(':', '-'))
  }

  async #save(): Promise<void> {
    const machine = await describeMachine()
    const document = {
      date: this.#date,
      ...machine,
      options: this.#options,
      loadBefore: this.#loadBefore,
      loadAfter: loadavg(),
      memory: this.#memory,
      groups: this.#groups.map(({ rows, ...group }) => ({
        ...group,
        rows: rows.map(row => ({ ...row, ...summarize(row, group.columns) })),
      })),
    }
    await mkdir(join(this.path, '..'), { recursive: true })
    await writeFile(`${this.path}.json`, `${JSON.stringify(document, undefined, 2)}\n`)
    const load = [this.#loadBefore, document.loadAfter].map(each => (each[0] ?? 0).toFixed(1))
    const head =
      `${this.#date.slice(0, 16).replace('T', ' ')} UTC, ${machine.commit ?? 'no checkout'}, ` +
      `${machine.processorCount} × ${machine.processor}, ` +
      `${(machine.memoryBytes / GIBIBYTE).toFixed(0)} GiB, Linux ${machine.kernel}, ` +
      `Node ${machine.node}, load ${load[0]} before and ${load[1]} after` +
      `${machine.isFreeMemoryReported ? ', free memory reported to the host' : ''}.`
    const parts = [head, ...this.#groups.map(formatGroup)]
    if (this.#memory !== undefined) parts.push(formatMemory(this.#memory))
    await writeFile(`${this.path}.md`, `${parts.join('\n\n')}\n`)
  }
}

async function describeMachine() {
  const commit = await run('git', ['-C', CHECKOUT, 'describe', '--always', '--dirty']).then(
    output => output.trim(),
    () => undefined,
  )
  const processors = cpus()
  return {
    commit,
    node: process.version,
    kernel: release(),
    processor: processors[0]?.model,
    processorCount: processors.length,
    memoryBytes: totalmem(),
    isFreeMemoryReported: await isFreeMemoryReported(),
  }
}

/** A heading, the table, and what the table doesn't say. */
export function formatGroup(result: GroupResult): string {
  const { title, name, columns, rows, runs, seconds, failures, remarks, isCutShort } = result
  const how = runs === 0 ? 'no whole run' : runs === 1 ? 'one run' : `medians of ${runs} runs`
  const lines = [
    `### ${title} (\`--only ${name}\`)`,
    formatTable(rows, columns),
    ...[formatProcessors(rows, columns)].filter(table => table !== ''),
    `${how[0]?.toUpperCase()}${how.slice(1)}, ${seconds.toFixed(0)} s.`,
    ...remarks,
    ...failures.map(({ row, column, message }) => `FAILED: ${row}, ${column}: ${message}`),
    ...(isCutShort ? ['CUT SHORT: its time was over before its last run was whole.'] : []),
  ]
  return lines.join('\n\n')
}
