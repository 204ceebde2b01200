// The data that is written, made once and kept in memory: the disk that it came from must not count.

import { mkdtempSync } from 'node:fs'
import { rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './processes.ts'

/** A tmpfs on every Linux. */
const MEMORY_DIRECTORY = '/dev/shm'
/** Real files of every kind; together some gigabytes on the smallest of systems that can build this. */
const TAR_DIRECTORIES = ['usr/share', 'usr/lib']
/** Random data and the tar. */
const SOURCE_COUNT = 2

export class Sources {
  readonly #directory = mkdtempSync(join(MEMORY_DIRECTORY, 'coffer-bench-'))
  readonly random = join(this.#directory, 'random')
  readonly tar = join(this.#directory, 'tar')

  async make(sizeBytes: number, signal: AbortSignal): Promise<void> {
    const { bavail, bsize } = await statfs(MEMORY_DIRECTORY)
    if (bavail * bsize < SOURCE_COUNT * sizeBytes) {
      throw new Error(`${MEMORY_DIRECTORY} has too little room; ask for less with --size`)
    }
    const shell = (line: string, ...args: string[]): Promise<string> =>
      run('bash', ['-c', line, 'bash', ...args], signal)
    await shell('head -c "$1" /dev/urandom > "$2"', String(sizeBytes), this.random)
    // tar complains when head has enough, and about files that vanish: its status says nothing here.
    await shell(
      'size=$1 target=$2; shift 2; tar -C / --sort=name -cf - "$@" 2>/dev/null | head -c "$size" > "$target"',
      String(sizeBytes),
      this.tar,
      ...TAR_DIRECTORIES,
    )
  }

  async remove(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true })
  }
}
