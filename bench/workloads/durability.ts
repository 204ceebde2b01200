// What waits for the disk: small transactions of SQLite, and the first byte after a mount.

import { open, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Content } from '../io/pieces.ts'
import type { Sizes } from '../options.ts'
import { run as runProgram } from '../processes.ts'
import { dropCaches, targetGroup, type TargetRun, type Workload } from '../target-group.ts'

type Journal = 'delete' | 'wal'

/** What each row holds follows from its number. */
const PAYLOAD = "printf('%0180d', id * 7919)"
/** So that there are block files and an index. */
const BALLAST = 'ballast'
/** Of the random data: writing it is not what is measured. */
const BALLAST_SHARE = 4

const databaseOf = (run: TargetRun, journal: Journal): string =>
  join(run.target.directory, `${journal}.db`)

async function makeScript(path: string, journal: Journal, sizes: Sizes): Promise<void> {
  const lines = [
    '.bail on',
    `PRAGMA journal_mode=${journal};`,
    'PRAGMA synchronous=FULL;',
    'CREATE TABLE entries (id INTEGER PRIMARY KEY, payload TEXT NOT NULL);',
  ]
  for (let id = 1; id <= sizes.transactions; id += 1) {
    lines.push(`INSERT INTO entries SELECT id, ${PAYLOAD} FROM (SELECT ${id} AS id);`)
  }
  await writeFile(path, `${lines.join('\n')}\n`)
}

function committing(journal: Journal, label: string, sizes: Sizes): Workload {
  return {
    id: `sqlite-${journal}`,
    label,
    unit: 'transactions/s',
    memory: 'dropped',
    measure: async run => {
      const script = join(run.scratch, `${journal}.sql`)
      await makeScript(script, journal, sizes)
      const database = databaseOf(run, journal)
      const { signal } = run.context
      const startedMs = performance.now()
      const output = await runProgram('sqlite3', [database, `.read ${script}`], { signal })
      const seconds = (performance.now() - startedMs) / 1000
      if (output.trim() !== journal) throw new Error(`sqlite3 said ${output}`)
      await checkDatabase(run, database, sizes)
      return sizes.transactions / seconds
    },
  }
}

/** After a restart: what is checked has been on the disk. */
async function checkDatabase(run: TargetRun, database: string, sizes: Sizes): Promise<void> {
  await run.restart()
  const query = `PRAGMA integrity_check; SELECT count(*) FROM entries WHERE payload = ${PAYLOAD};`
  const output = await runProgram('sqlite3', [database, query])
  if (output !== `ok\n${sizes.transactions}\n`) throw new Error(`the database is wrong: ${output}`)
}

async function ballastOf(run: TargetRun, sizes: Sizes): Promise<Content> {
  const lengthBytes = sizes.dataBytes / BALLAST_SHARE
  const source = await run.context.sources.tar(lengthBytes, run.context.signal)
  return { source, startBytes: 0, lengthBytes, stamp: 0 }
}

const firstByte = (sizes: Sizes): Workload => ({
  id: 'first-byte',
  label: 'start until the first byte of a file',
  unit: 'ms',
  memory: 'dropped',
  measure: async run => {
    const { target } = run
    const path = join(target.directory, BALLAST)
    const content = await ballastOf(run, sizes)
    const isThere = await stat(path).then(
      () => true,
      () => false,
    )
    if (!isThere) await run.work({ kind: 'write', content, path })
    await target.stop()
    await dropCaches()
    const startedMs = performance.now()
    await target.resume()
    const file = await open(path, 'r')
    const { bytesRead } = await file.read(Buffer.alloc(1), 0, 1, 0)
    const milliseconds = performance.now() - startedMs
    await file.close()
    if (bytesRead !== 1) throw new Error('there was no first byte')
    await run.check({ kind: 'compare', content, path })
    return milliseconds
  },
})

export const durability = targetGroup({
  name: 'durability',
  title: 'Small transactions, and the first byte after a start',
  runSecondsMax: 30,
  columns: ['coffer', 'sealed', 'gocryptfs', 'cryfs', 'plain'],
  slowColumns: ['cryfs'],
  workloads: sizes => [
    committing('delete', 'SQLite, rollback journal', sizes),
    committing('wal', 'SQLite, write-ahead log, synchronous=FULL', sizes),
    firstByte(sizes),
  ],
})
