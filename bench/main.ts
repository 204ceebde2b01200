// The benchmark: coffer clear and encrypted, gocryptfs where it is installed, a filesystem that does nothing, and a plain
// directory, measured in turns within one run, because the disks and processors of a machine differ from hour to hour more than what is compared here.

import { existsSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { loadavg } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { measureMemory, type MemoryResult } from './memory.ts'
import { parseOptions, USAGE, type BenchOptions } from './options.ts'
import { saveResults } from './results.ts'
import { Sources } from './sources.ts'
import { formatMemory, formatTable, type Row } from './table.ts'
import {
  CofferTarget,
  GocryptfsTarget,
  NothingTarget,
  PlainTarget,
  type Target,
} from './targets.ts'
import { measure, WORKLOADS } from './workloads.ts'

/** As shells report an end by SIGINT. */
const INTERRUPTED_STATUS = 130

const say = (line: string): void => console.error(line)

function isInstalled(program: string): boolean {
  const folders = (process.env['PATH'] ?? '').split(':')
  return folders.some(folder => existsSync(join(folder, program)))
}

/** One measurement of every workload on every target, each on a fresh store. */
async function measureAll(
  rows: readonly Row[],
  sources: Sources,
  base: string,
  runIndex: number,
  signal: AbortSignal,
): Promise<void> {
  const targets: Target[] = [
    new CofferTarget(join(base, 'coffer')),
    new CofferTarget(join(base, 'sealed'), 'sealed'),
    ...(isInstalled('gocryptfs') ? [new GocryptfsTarget(join(base, 'gocryptfs'))] : []),
    new NothingTarget(join(base, 'nothing')),
    new PlainTarget(join(base, 'plain')),
  ]
  try {
    for (const target of targets) await target.start()
    // Another one begins each time: who comes first may gain or lose by it.
    const first = runIndex % targets.length
    const order = [...targets.slice(first), ...targets.slice(0, first)]
    for (const [index, workload] of WORKLOADS.entries()) {
      for (const target of order) {
        signal.throwIfAborted()
        const speed = await measure(workload, target, sources, signal)
        rows[index]?.samples[target.name].push(speed)
        const title = `run ${runIndex + 1}, ${workload.label}, ${target.name}`
        say(`${title}: ${speed.toFixed(0)} ${workload.unit}`)
      }
    }
  } finally {
    // What one of them can't remove must not keep the others.
    await Promise.allSettled(targets.map(target => target.remove()))
  }
}

async function measureDaemon(
  options: BenchOptions,
  sources: Sources,
  base: string,
  signal: AbortSignal,
): Promise<MemoryResult | undefined> {
  if (options.memoryBytes === 0) return undefined
  say('copying a lot, for the memory of the daemon')
  const coffer = new CofferTarget(join(base, 'memory'))
  try {
    return await measureMemory(coffer, sources, options.memoryBytes, signal)
  } finally {
    await coffer.remove()
  }
}

async function bench(
  options: BenchOptions,
  sources: Sources,
  base: string,
  signal: AbortSignal,
): Promise<void> {
  say('making the data to write')
  await sources.make(options.sizeBytes, signal)
  const rows = WORKLOADS.map(({ id, label, unit }): Row => {
    return {
      id,
      label,
      unit,
      samples: { coffer: [], sealed: [], gocryptfs: [], nothing: [], plain: [] },
    }
  })
  const loadBefore = loadavg()
  for (let index = 0; index < options.runs; index += 1) {
    await measureAll(rows, sources, base, index, signal)
  }
  const memory = await measureDaemon(options, sources, base, signal)
  const loadAfter = loadavg()

  if (options.runs > 0) console.log(`\n${formatTable(rows)}`)
  if (memory !== undefined) console.log(`\n${formatMemory(memory)}`)
  const [before, after] = [loadBefore, loadAfter].map(load => (load[0] ?? 0).toFixed(1))
  console.log(`\nmedians of ${options.runs}; load average ${before} before, ${after} after`)
  const path = await saveResults({ options, rows, memory, loadBefore, loadAfter })
  console.log(`kept in ${relative('.', path)}`)
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2))
  if (options === undefined) {
    console.log(USAGE)
    return 0
  }
  if (process.getuid?.() !== 0) throw new Error('only root can empty the page cache')
  if (!existsSync('/dev/fuse')) throw new Error('/dev/fuse is missing')

  const base = mkdtempSync(join(resolve(options.directory), 'coffer-bench-'))
  const sources = new Sources()
  const abort = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (abort.signal.aborted) return
      say('cleaning up')
      abort.abort()
    })
  }
  try {
    await bench(options, sources, base, abort.signal)
    return 0
  } catch (error) {
    if (abort.signal.aborted) return INTERRUPTED_STATUS
    throw error
  } finally {
    await sources.remove()
    await rm(base, { recursive: true, force: true })
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
