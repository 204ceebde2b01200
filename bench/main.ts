// The benchmark: groups of workloads, each measured on coffer and on what it is compared with, in turns within one run.

import { existsSync, mkdtempSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { CofferTarget } from './coffer-target.ts'
import type { Group } from './groups.ts'
import { measureGroup } from './measurement.ts'
import { measureMemory } from './memory.ts'
import { isFreeMemoryReported, keepFreeMemory } from './free-memory.ts'
import { parseOptions, USAGE, type BenchOptions } from './options.ts'
import { formatGroup, Results } from './results.ts'
import { Sources } from './sources.ts'
import { formatMemory } from './table.ts'
import { isInstalled } from './targets.ts'
import { GROUPS } from './workloads/index.ts'

/** As shells report an end by SIGINT. */
const INTERRUPTED_STATUS = 130
/** Something failed, or there was no time for it: the tables have holes. */
const INCOMPLETE_STATUS = 3

/** What has to be installed: the first word of a column, unless it is part of this checkout. */
const OTHER_PROGRAMS: readonly string[] = ['gocryptfs', 'cryfs', 'restic', 'borg']

const say = (line: string): void => console.error(line)

/** @throws when a name is none of a group */
function chooseGroups({ only }: BenchOptions): readonly Group[] {
  const names = GROUPS.map(group => group.name)
  const unknown = only?.find(name => !names.includes(name))
  if (unknown !== undefined) {
    throw new Error(`there is no group ${unknown}; there are ${names.join(', ')}`)
  }
  return GROUPS.filter(({ name }) => only?.includes(name) ?? true)
}

function chooseColumns(group: Group, { targets }: BenchOptions): readonly string[] {
  return group.columns.filter(column => {
    const program = column.split(' ')[0] ?? ''
    const isAsked = targets?.includes(column) || targets?.includes(program)
    if (!(isAsked ?? !group.slowColumns?.includes(column))) return false
    if (!OTHER_PROGRAMS.includes(program) || isInstalled(program)) return true
    say(`${group.name}: ${program} is not installed`)
    return false
  })
}

async function addMemory(
  results: Results,
  { memoryBytes, sizes }: BenchOptions,
  base: string,
  signal: AbortSignal,
): Promise<void> {
  say('copying a lot, for the memory of the daemon')
  const sources = new Sources()
  const coffer = new CofferTarget(join(base, 'memory'))
  try {
    const tar = await sources.tar(sizes.dataBytes, signal)
    const memory = await measureMemory(coffer, tar, memoryBytes, signal)
    await results.addMemory(memory)
    console.log(`\n${formatMemory(memory)}`)
  } finally {
    await coffer.remove()
    await sources.remove()
  }
}

async function bench(
  options: BenchOptions,
  groups: readonly Group[],
  base: string,
  interrupt: AbortSignal,
): Promise<number> {
  const results = new Results(options)
  for (const group of groups) {
    const columns = chooseColumns(group, options)
    if (columns.length === 0) continue
    say(`--- ${group.name}: ${group.title}`)
    const result = await measureGroup(group, { options, columns, base, interrupt, say })
    await results.addGroup(result)
    console.log(`\n${formatGroup(result)}`)
  }
  if (options.memoryBytes > 0) await addMemory(results, options, base, interrupt)
  console.log(`\nkept in ${relative('.', results.path)}.md and .json`)
  return results.isWhole ? 0 : INCOMPLETE_STATUS
}

/** @returns what undoes it at the end */
async function prepareMemory(
  { keepsMemory }: BenchOptions,
  signal: AbortSignal,
): Promise<() => Promise<void>> {
  if (!(await isFreeMemoryReported())) return () => Promise.resolve()
  if (keepsMemory) {
    say('free memory stays here')
    return await keepFreeMemory(signal)
  }
  say('free memory goes back to the host here, and comes back slowly: see --keep-memory')
  return () => Promise.resolve()
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2))
  if (options === undefined) {
    console.log(USAGE)
    return 0
  }
  const groups = chooseGroups(options)
  if (process.getuid?.() !== 0) throw new Error('only root can empty the page cache')
  if (!existsSync('/dev/fuse')) throw new Error('/dev/fuse is missing')
  if (options.profile !== undefined) {
    const directory = resolve(options.profile)
    await mkdir(directory, { recursive: true })
    process.env['COFFER_BENCH_PROFILE'] = directory
  }

  const base = mkdtempSync(join(resolve(options.directory), 'coffer-bench-'))
  const abort = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (abort.signal.aborted) return
      say('cleaning up')
      abort.abort()
    })
  }
  let restoreMemory = (): Promise<void> => Promise.resolve()
  try {
    restoreMemory = await prepareMemory(options, abort.signal)
    return await bench(options, groups, base, abort.signal)
  } catch (error) {
    if (abort.signal.aborted) return INTERRUPTED_STATUS
    throw error
  } finally {
    try {
      await rm(base, { recursive: true, force: true })
    } finally {
      await restoreMemory()
    }
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
