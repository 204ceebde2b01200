// What two versions of a real tree take, beside restic and borg: encrypted by all, and compressed with the same algorithm.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Borg, checkRestored, Coffer, Restic, type BackupProgram } from '../backup-programs.ts'
import type { Group, RowHead, RunContext } from '../groups.ts'
import { run, shell } from '../processes.ts'
import { dropCaches } from '../target-group.ts'
import { fetchTrees } from '../trees.ts'

const MEGABYTE = 1e6
/** From 16 to 256 KiB, 32 on the average, as coffer's. */
const BORG_SMALL_CHUNKS = 'buzhash,14,18,15,4095'

const PROGRAMS: Readonly<Record<string, (base: string) => BackupProgram>> = {
  'coffer lz4': base => new Coffer(base, 'fast'),
  'borg lz4': base => new Borg(base, 'lz4'),
  'coffer zstd': base => new Coffer(base, 'best'),
  'restic zstd': base => new Restic(base),
  'borg zstd': base => new Borg(base, 'zstd'),
  'borg zstd 32 KiB': base => new Borg(base, 'zstd', BORG_SMALL_CHUNKS),
}

const ROWS: readonly RowHead[] = [
  { id: 'tree-older', label: 'the older version of the tree', unit: 'MB' },
  { id: 'stored-older', label: 'stored after it', unit: 'MB' },
  { id: 'added-newer', label: 'added by the newer version', unit: 'MB' },
  { id: 'added-again', label: 'added by the newer version again', unit: 'MB' },
  { id: 'ratio', label: 'both versions / stored', unit: 'x' },
  { id: 'backup-older', label: 'back up the older', unit: 'MB/s' },
  { id: 'backup-newer', label: 'back up the newer', unit: 'MB/s' },
  { id: 'backup-again', label: 'back up the newer again', unit: 'MB/s' },
  { id: 'backup-linked', label: 'the same, with rsync --link-dest', unit: 'MB/s' },
  { id: 'restore-newer', label: 'restore the newer, cold', unit: 'MB/s' },
]

const sizeOf = async (tree: string): Promise<number> =>
  Number((await run('du', ['-sb', tree])).split('\t')[0]) / MEGABYTE

async function secondsOf(act: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  await act()
  return (performance.now() - startedMs) / 1000
}

async function measure(
  program: BackupProgram,
  column: string,
  trees: readonly [older: string, newer: string],
  { record, base, signal }: RunContext,
): Promise<void> {
  const [older, newer] = trees
  const [olderSize, newerSize] = [await sizeOf(older), await sizeOf(newer)]
  const restored = join(base, 'restored')
  const note = async (row: string, value: number): Promise<void> => {
    record({ row, column, value, peakBytes: await program.peakMemoryBytes?.() })
  }
  const backup = async (tree: string, label: string): Promise<number> => {
    // All read the tree from memory: this is not about the disk that it comes from.
    await shell('tar -cf - "$1" 2>/dev/null | cat > /dev/null', [tree])
    return secondsOf(() => program.backup(tree, label, signal))
  }
  const stored = async (): Promise<number> => (await program.storedBytes()) / MEGABYTE

  await program.prepare()
  const olderSeconds = await backup(older, 'older')
  const first = await stored()
  const newerSeconds = await backup(newer, 'newer')
  const second = await stored()
  const againSeconds = await backup(newer, 'again')
  const third = await stored()
  const canLink = program.backupChanged !== undefined
  if (canLink) {
    await shell('tar -cf - "$1" 2>/dev/null | cat > /dev/null', [newer])
    const linkedSeconds = await secondsOf(async () =>
      program.backupChanged?.(newer, 'linked', 'newer', signal),
    )
    await note('backup-linked', newerSize / linkedSeconds)
  }
  await note('tree-older', olderSize)
  await note('stored-older', first)
  await note('added-newer', second - first)
  await note('added-again', third - second)
  await note('ratio', (olderSize + newerSize) / second)
  await note('backup-older', olderSize / olderSeconds)
  await note('backup-newer', newerSize / newerSeconds)
  await note('backup-again', newerSize / againSeconds)
  await program.forget()
  await dropCaches()
  const seconds = await checkRestored(program, 'newer', newer, restored, signal)
  await note('restore-newer', newerSize / seconds)
  await checkRestored(program, 'older', older, restored, signal)
  if (canLink) {
    await checkRestored(program, 'linked', newer, restored, signal)
  }
}

async function runGrowth(context: RunContext): Promise<void> {
  const { columns, base, signal, sizes, runIndex } = context
  const trees = sizes.trees ?? (await fetchTrees(signal))
  const first = runIndex % columns.length
  for (const column of [...columns.slice(first), ...columns.slice(0, first)]) {
    signal.throwIfAborted()
    const directory = join(base, column.replaceAll(' ', '-'))
    const program = PROGRAMS[column]?.(directory)
    if (program === undefined) throw new Error(`there is no program ${column}`)
    try {
      await measure(program, column, trees, context)
    } catch (error) {
      if (signal.aborted) throw error
      const message = error instanceof Error ? error.message : String(error)
      context.fail({ row: 'backup', column, message })
    } finally {
      await program.remove()
      await rm(directory, { recursive: true, force: true })
    }
  }
}

export const growth: Group = {
  name: 'growth',
  title: 'Two versions of a real tree',
  runSecondsMax: 50,
  columns: Object.keys(PROGRAMS),
  rows: () => ROWS,
  run: runGrowth,
}
