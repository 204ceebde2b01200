// What a pass costs and gives: a store of random files, of which half are deleted; reads before, during and after.
//
//   node dist/bench/cleaner.js [GIBIBYTES] [DIRECTORY]

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CofferTarget } from './coffer-target.ts'
import { shell } from './processes.ts'
import { restart } from './target-group.ts'

const FILE_MIB = 64
const FILES_PER_GIB = 1024 / FILE_MIB
const MIB = 1024 * 1024
const READ_ROUNDS = 3

interface Pass {
  outcome: string
  text: string
  freedBytes: number
  writtenBytes: number
  compactedBytes: number
}

/** Reads every file and compares. */
async function readAll(directory: string, sums: string, deleted: string): Promise<void> {
  await shell(`cd ${directory} && grep -v -F -f ${deleted} ${sums} | sha256sum -c --quiet`)
}

/** Reads what has been in nobody's cache, several times. @returns the median in MB/s */
async function readSpeed(target: CofferTarget): Promise<number> {
  const speeds: number[] = []
  for (let round = 0; round < READ_ROUNDS; round++) {
    await restart(target)
    const startedMs = performance.now()
    await shell(`cat ${target.directory}/* > /dev/null`)
    const seconds = (performance.now() - startedMs) / 1000
    const files = Number(await shell(`ls ${target.directory} | wc -l`))
    speeds.push((files * FILE_MIB * MIB) / 1e6 / seconds)
  }
  return speeds.sort((a, b) => a - b)[Math.floor(READ_ROUNDS / 2)] ?? 0
}

async function main(): Promise<void> {
  const gibibytes = Number(process.argv[2] ?? 20)
  const base = await mkdtemp(join(process.argv[3] ?? tmpdir(), 'coffer-cleaner-'))
  const target = new CofferTarget(join(base, 'coffer'))
  const sums = join(base, 'sums')
  const deleted = join(base, 'deleted')
  const physicalBytes = async (): Promise<number> =>
    Number(await shell(`du -sB1 ${join(base, 'coffer', 'store', 'blocks')} | cut -f1`))
  try {
    await target.start()
    const { directory } = target
    const count = gibibytes * FILES_PER_GIB
    // sha256 beside the writing: the random bytes are made once.
    await shell(
      `cd ${directory} && for i in $(seq -w 1 ${count}); do head -c ${FILE_MIB * MIB} /dev/urandom | ` +
        `tee >(sha256sum | sed "s/-/f$i/" >> ${sums}) > f$i; done; sync f$(seq -w 1 ${count} | tail -1); sleep 1`,
    )
    await shell(`printf 'nothing-matches-this\\n' > ${deleted}`)
    const before = await physicalBytes()
    await shell(`cd ${directory} && ls | awk 'NR % 2 == 1' | tee ${deleted} | xargs rm`)
    const readBefore = await readSpeed(target)
    const startedMs = performance.now()
    const reclaiming = target.command('maintenance', 'reclaim-space', '--wait', '--json')
    let isOver = false
    const over = reclaiming.finally(() => {
      isOver = true
    })
    let rounds = 0
    for (; !isOver; rounds++) await readAll(directory, sums, deleted)
    const pass = JSON.parse(await over) as Pass
    const seconds = (performance.now() - startedMs) / 1000
    const after = await physicalBytes()
    const readAfter = await readSpeed(target)
    await readAll(directory, sums, deleted)
    const deadBytes = (count / 2) * FILE_MIB * MIB
    console.log(`outcome ${pass.outcome} ${pass.text}`)
    console.log(`freed ${(((before - after) / deadBytes) * 100).toFixed(1)} % of the dead bytes`)
    console.log(`in ${seconds.toFixed(1)} s, beside ${rounds} rounds of reading all that is left`)
    console.log(`copied ${(pass.compactedBytes / 1e6).toFixed(0)} MB`)
    console.log(
      `reads ${readBefore.toFixed(0)} MB/s before, ${readAfter.toFixed(0)} after: ` +
        `${(readAfter / readBefore).toFixed(2)}`,
    )
  } finally {
    await target.remove()
    await rm(base, { recursive: true, force: true })
  }
}

await main()
