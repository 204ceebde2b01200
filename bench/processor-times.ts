// Where the processors' time goes, by kind of thread: what a GB costs the daemon, its own code and the kernel's.
//
//   node dist/bench/processor-times.js [MEBIBYTES] [DIRECTORY]

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CofferTarget } from './coffer-target.ts'
import type { Content } from './io/pieces.ts'
import { Sources } from './sources.ts'
import { layOut } from './table.ts'
import { dropCaches, restart, work } from './target-group.ts'

const MIB = 1024 * 1024
const MIB_DEFAULT = 1024
const GIGABYTE = 1e9
/** sysconf(_SC_CLK_TCK), which is 100 on every Linux. */
const TICKS_PER_SECOND = 100
/** In /proc/PID/task/TID/stat behind the name: own code and the kernel's. */
const USER_FIELD = 11
const KERNEL_FIELD = 12

const KINDS = ['JavaScript', 'device', 'data path', 'syncs', 'others'] as const
type Kind = (typeof KINDS)[number]
type Times = Readonly<Record<Kind, number>>

/** The threads that the addon names; all others are V8's, libuv's and LevelDB's. */
const NAMES: Readonly<Record<string, Kind>> = {
  'coffer-fuse': 'device',
  'coffer-work': 'data path',
  'coffer-sync': 'syncs',
}

function kindOf(name: string, isMain: boolean): Kind {
  return isMain ? 'JavaScript' : (NAMES[name] ?? 'others')
}

/** Milliseconds since the process began; threads that have ended count no more. */
async function timesOf(pid: number): Promise<Times> {
  const times: Record<Kind, number> = {
    JavaScript: 0,
    device: 0,
    'data path': 0,
    syncs: 0,
    others: 0,
  }
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    const stat = await readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8')
    const end = stat.lastIndexOf(')')
    const fields = stat.slice(end + 2).split(' ')
    const ticks = Number(fields[USER_FIELD]) + Number(fields[KERNEL_FIELD])
    const name = stat.slice(stat.indexOf('(') + 1, end)
    times[kindOf(name, Number(thread) === pid)] += (ticks / TICKS_PER_SECOND) * 1000
  }
  return times
}

async function measure(
  target: CofferTarget,
  bytes: number,
  act: () => Promise<{ readonly seconds: number }>,
): Promise<string[]> {
  const pid = await target.daemonPid()
  const before = await timesOf(pid)
  const { seconds } = await act()
  const after = await timesOf(pid)
  const perGigabyte = KINDS.map(kind => (after[kind] - before[kind]) / (bytes / GIGABYTE))
  const total = perGigabyte.reduce((sum, each) => sum + each, 0)
  const wall = (seconds * 1000) / (bytes / GIGABYTE)
  return [...perGigabyte, total, wall].map(each => each.toFixed(0))
}

async function main(): Promise<void> {
  const bytes = Number(process.argv[2] ?? MIB_DEFAULT) * MIB
  const base = await mkdtemp(join(process.argv[3] ?? tmpdir(), 'coffer-times-'))
  const target = new CofferTarget(join(base, 'coffer'), 'sealed')
  const sources = new Sources()
  const { signal } = new AbortController()
  const rows: string[][] = []
  try {
    await target.start()
    const path = (name: string): string => join(target.directory, name)
    const write = async (what: string, source: string, name: string): Promise<void> => {
      const content: Content = { source, startBytes: 0, lengthBytes: bytes, stamp: 0 }
      const task = { kind: 'write', content, path: path(name) } as const
      rows.push([what, ...(await measure(target, bytes, () => work(task, signal)))])
    }
    const read = async (what: string, name: string): Promise<void> => {
      await restart(target)
      const task = { kind: 'read', path: path(name) } as const
      rows.push([what, ...(await measure(target, bytes, () => work(task, signal)))])
    }
    await dropCaches()
    await write('write random data', await sources.random(bytes, signal), 'random')
    await write('write a tar', await sources.tar(bytes, signal), 'tar')
    await write('write the tar again', await sources.tar(bytes, signal), 'again')
    await read('read random data, cold', 'random')
    await read('read the tar, cold', 'tar')
    console.log('Milliseconds a GB, encrypted:')
    console.log(layOut([['workload', ...KINDS, 'together', 'wall clock'], ...rows]))
  } finally {
    await target.remove()
    await sources.remove()
    await rm(base, { recursive: true, force: true })
  }
}

await main()
