// What abuse of the control socket costs a writer: the same write alone and beside an abuser, in turns.
//
//   node dist/bench/abuse.js [RUNS] [MEBIBYTES] [DIRECTORY]

import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CofferTarget } from './coffer-target.ts'
import { run, script } from './processes.ts'
import { median } from './medians.ts'
import { work } from './target-group.ts'

const MIB = 1024 * 1024
const MEGABYTE = 1e6

type Company = 'alone' | 'abused'

/** Runs a command while somebody else keeps the daemon busy. */
async function beside<Result>(
  company: Company,
  socket: string,
  act: () => Promise<Result>,
): Promise<Result> {
  if (company === 'alone') return act()
  const abuser = spawn(process.execPath, [script('abuser.js'), socket], { stdio: 'ignore' })
  try {
    return await act()
  } finally {
    abuser.kill('SIGKILL')
  }
}

async function main(): Promise<void> {
  const [runs, mebibytes, directory] = process.argv.slice(2)
  const count = Number(runs ?? 7)
  const bytes = Number(mebibytes ?? 512) * MIB
  const base = await mkdtemp(join(directory ?? tmpdir(), 'coffer-abuse-'))
  const target = new CofferTarget(join(base, 'coffer'))
  const source = join(base, 'random')
  const content = { source, startBytes: 0, lengthBytes: bytes, stamp: 0 }
  const { signal } = new AbortController()
  const speeds: Record<Company, number[]> = { alone: [], abused: [] }
  const order: Company[] = ['alone', 'abused']
  try {
    await target.start()
    for (let index = 0; index < count; index++) {
      for (const company of index % 2 === 0 ? order : order.toReversed()) {
        // New data each time: known data would measure something else.
        await run('bash', ['-c', `head -c ${bytes} /dev/urandom > ${source}; sync`])
        const to = join(target.directory, `${company}-${index}`)
        const { seconds } = await beside(company, target.socket, () =>
          work({ kind: 'write', content, path: to }, signal),
        )
        speeds[company].push(bytes / MEGABYTE / seconds)
      }
    }
    const ratios = speeds.alone.map((alone, index) => (speeds.abused[index] ?? 0) / alone)
    console.log(`alone ${median(speeds.alone).toFixed(0)} MB/s`)
    console.log(`beside the abuser ${median(speeds.abused).toFixed(0)} MB/s`)
    console.log(`ratio ${median(ratios).toFixed(2)} (median of ${count} pairs)`)
  } finally {
    await target.remove()
    await rm(base, { recursive: true, force: true })
  }
}

await main()
