// Backups of a real tree: `cp -a` into an encrypted container against restic and borg into a plain directory, in turns within
// one run. The second backup is of the same tree; the restore reads with cold caches.
//
//   node dist/bench/backup.js [RUNS] [TREE] [DIRECTORY]

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { run } from './processes.ts'
import { layOut, median } from './table.ts'
import { CofferTarget } from './targets.ts'

const MEGABYTE = 1e6

interface BackupProgram {
  readonly name: string
  prepare(): Promise<void>
  backup(tree: string, label: string): Promise<void>
  /** nothing of the backup may be in memory */
  forget(): Promise<void>
  restore(label: string, to: string): Promise<void>
  storedBytes(): Promise<number>
  remove(): Promise<void>
}

const shell = (line: string): Promise<string> => run('bash', ['-euo', 'pipefail', '-c', line])

async function bytesBelow(directory: string): Promise<number> {
  return Number(await shell(`du -sB1 ${directory} | cut -f1`))
}

class Coffer implements BackupProgram {
  readonly name = 'coffer'
  readonly #base: string
  readonly #target: CofferTarget

  constructor(base: string) {
    this.#base = base
    this.#target = new CofferTarget(base, 'sealed')
  }

  prepare(): Promise<void> {
    return this.#target.start()
  }

  async backup(tree: string, label: string): Promise<void> {
    const to = join(this.#target.directory, label)
    await mkdir(to)
    await run('cp', ['-a', tree, to])
    await run('sync', ['-f', to])
  }

  forget(): Promise<void> {
    return this.#target.restart()
  }

  async restore(label: string, to: string): Promise<void> {
    await run('cp', ['-a', `${join(this.#target.directory, label)}/.`, to])
  }

  storedBytes(): Promise<number> {
    return bytesBelow(join(this.#base, 'store'))
  }

  remove(): Promise<void> {
    return this.#target.remove()
  }
}

/** Both keep a repository in a directory and take the passphrase from a file. */
class Repository implements BackupProgram {
  readonly name: 'restic' | 'borg'
  readonly #base: string

  constructor(name: 'restic' | 'borg', base: string) {
    this.name = name
    this.#base = base
  }

  async #run(line: string): Promise<void> {
    const secret = join(this.#base, 'passphrase')
    const repository = join(this.#base, 'repository')
    const environment =
      this.name === 'restic'
        ? `export RESTIC_REPOSITORY=${repository} RESTIC_PASSWORD_FILE=${secret}`
        : `export BORG_REPO=${repository} BORG_PASSPHRASE=$(cat ${secret}) BORG_BASE_DIR=${this.#base}`
    await shell(`${environment}; ${line}`)
  }

  async prepare(): Promise<void> {
    await mkdir(this.#base, { recursive: true })
    await writeFile(join(this.#base, 'passphrase'), 'only for the benchmark\n')
    const isRestic = this.name === 'restic'
    await this.#run(
      isRestic ? 'restic init -q --repository-version 2' : 'borg init -e repokey-blake2',
    )
  }

  async backup(tree: string, label: string): Promise<void> {
    const cache = join(this.#base, 'cache')
    const line =
      this.name === 'restic'
        ? `restic backup -q --cache-dir ${cache} --tag ${label} ${tree}`
        : `borg create -C lz4 ::${label} ${tree}`
    await this.#run(`${line}; sync -f ${this.#base}`)
  }

  async forget(): Promise<void> {
    // It keeps no process.
  }

  async restore(label: string, to: string): Promise<void> {
    const line =
      this.name === 'restic'
        ? `restic restore -q --cache-dir ${join(this.#base, 'cache')} --tag ${label} --target ${to} latest`
        : `cd ${to}; borg extract ::${label}`
    await this.#run(line)
  }

  storedBytes(): Promise<number> {
    return bytesBelow(join(this.#base, 'repository'))
  }

  async remove(): Promise<void> {
    await rm(this.#base, { recursive: true, force: true })
  }
}

type Step = 'first' | 'second' | 'restore' | 'stored'

async function seconds(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return (performance.now() - startedMs) / 1000
}

async function dropCaches(): Promise<void> {
  await run('sync', [])
  await writeFile('/proc/sys/vm/drop_caches', '3')
}

async function measure(
  program: BackupProgram,
  tree: string,
  megabytes: number,
  restored: string,
): Promise<Record<Step, number>> {
  try {
    await program.prepare()
    // All read the tree from memory: this is not about the disk that it comes from.
    await shell(`tar -cf - ${tree} | cat > /dev/null`)
    const first = await seconds(() => program.backup(tree, 'one'))
    const second = await seconds(() => program.backup(tree, 'two'))
    const stored = await program.storedBytes()
    await program.forget()
    await dropCaches()
    await mkdir(restored)
    const restore = await seconds(() => program.restore('two', restored))
    const name = basename(tree)
    const found = (await shell(`find ${restored} -type d -name ${name} | head -1`)).trim()
    await run('diff', ['-r', '--no-dereference', tree, found])
    return {
      first: megabytes / first,
      second: megabytes / second,
      restore: megabytes / restore,
      stored: stored / MEGABYTE,
    }
  } finally {
    await program.remove()
    await rm(restored, { recursive: true, force: true })
  }
}

async function main(): Promise<void> {
  const [runs, tree = '/usr/lib/gcc', directory] = process.argv.slice(2)
  const base = await mkdtemp(join(directory ?? tmpdir(), 'coffer-backup-'))
  const megabytes = Number(await shell(`du -sb ${tree} | cut -f1`)) / MEGABYTE
  const samples = new Map<string, Record<Step, number>[]>()
  try {
    for (let index = 0; index < Number(runs ?? 3); index++) {
      const programs = [
        new Coffer(join(base, 'coffer')),
        new Repository('restic', join(base, 'restic')),
        new Repository('borg', join(base, 'borg')),
      ]
      for (const program of index % 2 === 0 ? programs : programs.toReversed()) {
        const sample = await measure(program, tree, megabytes, join(base, 'restored'))
        samples.set(program.name, [...(samples.get(program.name) ?? []), sample])
        console.error(`run ${index + 1}, ${program.name}: ${JSON.stringify(sample)}`)
      }
    }
  } finally {
    await rm(base, { recursive: true, force: true })
  }
  const steps: readonly Step[] = ['first', 'second', 'restore', 'stored']
  const header = ['program', 'first, MB/s', 'second, MB/s', 'restore, MB/s', 'stored, MB']
  const lines = [...samples].map(([name, all]) => [
    name,
    ...steps.map(step => median(all.map(sample => sample[step])).toFixed(0)),
  ])
  console.log(`${tree}: ${megabytes.toFixed(0)} MB, medians of ${Number(runs ?? 3)}\n`)
  console.log(layOut([header, ...lines]))
}

await main()
