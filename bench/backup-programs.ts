// Backup programs side by side: `cp -a` into an encrypted container, restic and borg into a plain directory.

import { mkdir, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { CofferTarget } from './coffer-target.ts'
import { bytesBelow, run, shell } from './processes.ts'

export interface BackupProgram {
  prepare(): Promise<void>
  backup(tree: string, label: string, signal: AbortSignal): Promise<void>
  /** A backup that reads only what has other times or another size than in an earlier one; restic and borg always do so. */
  backupChanged?(tree: string, label: string, earlier: string, signal: AbortSignal): Promise<void>
  /** nothing of the backups may be in memory */
  forget(): Promise<void>
  restore(label: string, to: string, signal: AbortSignal): Promise<void>
  storedBytes(): Promise<number>
  peakMemoryBytes?(): Promise<number>
  remove(): Promise<void>
}

export class Coffer implements BackupProgram {
  readonly #target: CofferTarget

  constructor(base: string, compression: 'fast' | 'best') {
    this.#target = new CofferTarget(base, 'sealed', compression)
  }

  prepare(): Promise<void> {
    return this.#target.start()
  }

  async backup(tree: string, label: string, signal: AbortSignal): Promise<void> {
    const to = join(this.#target.directory, label)
    await mkdir(to)
    await run('cp', ['-a', tree, to], { signal })
    await run('sync', ['-f', to], { signal })
  }

  async backupChanged(
    tree: string,
    label: string,
    earlier: string,
    signal: AbortSignal,
  ): Promise<void> {
    const [to, from] = [label, earlier].map(name =>
      join(this.#target.directory, name, basename(tree)),
    )
    await mkdir(join(this.#target.directory, label))
    await run('rsync', ['-a', `--link-dest=${from}`, `${tree}/`, `${to}/`], { signal })
    await run('sync', ['-f', this.#target.directory], { signal })
  }

  async forget(): Promise<void> {
    await this.#target.stop()
    await this.#target.resume()
  }

  async restore(label: string, to: string, signal: AbortSignal): Promise<void> {
    await run('cp', ['-a', `${join(this.#target.directory, label)}/.`, to], { signal })
  }

  storedBytes(): Promise<number> {
    return this.#target.storedBytes()
  }

  peakMemoryBytes(): Promise<number> {
    return this.#target.peakMemoryBytes()
  }

  remove(): Promise<void> {
    return this.#target.remove()
  }
}

/** Both of the others keep a repository in a directory and take the passphrase from a file. */
abstract class Repository implements BackupProgram {
  protected readonly base: string
  protected readonly repository: string

  constructor(base: string) {
    this.base = base
    this.repository = join(base, 'repository')
  }

  protected abstract environment(): Readonly<Record<string, string>>
  protected abstract initialize(): readonly string[]
  protected abstract create(tree: string, label: string): readonly string[]
  /** run in the directory to restore to */
  protected abstract extract(label: string, to: string): readonly string[]

  protected async run(command: readonly string[], where = '/', signal?: AbortSignal) {
    const environment = this.environment()
    await shell('cd "$1"; shift; "$@"', [where, ...command], { environment, signal })
  }

  async prepare(): Promise<void> {
    await mkdir(this.base, { recursive: true })
    await writeFile(join(this.base, 'passphrase'), 'only for the benchmark\n')
    await this.run(this.initialize())
  }

  async backup(tree: string, label: string, signal: AbortSignal): Promise<void> {
    await this.run(this.create(tree, label), '/', signal)
    await run('sync', ['-f', this.base], { signal })
  }

  async forget(): Promise<void> {
    // It keeps no process.
  }

  async restore(label: string, to: string, signal: AbortSignal): Promise<void> {
    await this.run(this.extract(label, to), to, signal)
  }

  storedBytes(): Promise<number> {
    return bytesBelow(this.repository)
  }

  async remove(): Promise<void> {
    await rm(this.base, { recursive: true, force: true })
  }
}

export class Restic extends Repository {
  protected override environment(): Readonly<Record<string, string>> {
    return {
      RESTIC_REPOSITORY: this.repository,
      RESTIC_PASSWORD_FILE: join(this.base, 'passphrase'),
      RESTIC_CACHE_DIR: join(this.base, 'cache'),
    }
  }

  /** The second version of the format compresses: with zstd, by itself. */
  protected override initialize(): readonly string[] {
    return ['restic', 'init', '-q', '--repository-version', '2']
  }

  protected override create(tree: string, label: string): readonly string[] {
    return ['restic', 'backup', '-q', '--tag', label, tree]
  }

  protected override extract(label: string, to: string): readonly string[] {
    return ['restic', 'restore', '-q', '--tag', label, '--target', to, 'latest']
  }
}

export class Borg extends Repository {
  readonly #compression: string
  readonly #chunker: string | undefined

  /** @param chunker undefined: borg's own, with chunks of some 2 MiB */
  constructor(base: string, compression: 'lz4' | 'zstd', chunker?: string) {
    super(base)
    this.#compression = compression
    this.#chunker = chunker
  }

  protected override environment(): Readonly<Record<string, string>> {
    return {
      BORG_REPO: this.repository,
      BORG_PASSCOMMAND: `cat ${join(this.base, 'passphrase')}`,
      BORG_BASE_DIR: this.base,
    }
  }

  protected override initialize(): readonly string[] {
    return ['borg', 'init', '-e', 'repokey-blake2']
  }

  protected override create(tree: string, label: string): readonly string[] {
    const chunker = this.#chunker === undefined ? [] : ['--chunker-params', this.#chunker]
    return ['borg', 'create', '-C', this.#compression, ...chunker, `::${label}`, tree]
  }

  protected override extract(label: string): readonly string[] {
    return ['borg', 'extract', `::${label}`]
  }
}

/** Restores a backup into a new directory, and compares it with what it is of. @throws when they differ */
export async function checkRestored(
  program: BackupProgram,
  label: string,
  tree: string,
  to: string,
  signal: AbortSignal,
): Promise<number> {
  await mkdir(to)
  try {
    const startedMs = performance.now()
    await program.restore(label, to, signal)
    const seconds = (performance.now() - startedMs) / 1000
    // Some restore the whole path, some only its last part.
    const found = await shell('find "$1" -type d -name "$2" | head -1', [to, basename(tree)])
    await run('diff', ['-r', '--no-dereference', tree, found.trim()], { signal })
    return seconds
  } finally {
    await rm(to, { recursive: true, force: true })
  }
}
