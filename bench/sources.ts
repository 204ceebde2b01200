// The data that is written, made when it is first asked for and kept in memory: the disk that it came from must not count.

import { existsSync, mkdtempSync } from 'node:fs'
import { rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { shell } from './processes.ts'

/** A tmpfs on every Linux. */
const MEMORY_DIRECTORY = '/dev/shm'
/** Real files of every kind; together some gigabytes on the smallest of systems that can build this. */
const TAR_DIRECTORIES = ['usr/share', 'usr/lib']

export class Sources {
  /** for whatever else has to be in memory */
  readonly directory = mkdtempSync(join(MEMORY_DIRECTORY, 'coffer-bench-'))

  /** A file of random bytes. */
  async random(bytes: number, signal: AbortSignal): Promise<string> {
    return this.#make(`random-${bytes}`, bytes, path =>
      shell('head -c "$1" /dev/urandom > "$2"', [String(bytes), path], { signal }),
    )
  }

  /** The beginning of a tar of what every system has. */
  async tar(bytes: number, signal: AbortSignal): Promise<string> {
    // tar complains when head has enough, and about files that vanish: its status says nothing here.
    return this.#make(`tar-${bytes}`, bytes, path =>
      shell(
        'set +o pipefail; size=$1 target=$2; shift 2; ' +
          'tar -C / --sort=name -cf - "$@" 2>/dev/null | head -c "$size" > "$target"',
        [String(bytes), path, ...TAR_DIRECTORIES],
        { signal },
      ),
    )
  }

  async #make(
    name: string,
    bytes: number,
    make: (path: string) => Promise<unknown>,
  ): Promise<string> {
    const path = join(this.directory, name)
    if (existsSync(path)) return path
    const { bavail, bsize } = await statfs(MEMORY_DIRECTORY)
    if (bavail * bsize < bytes) {
      throw new Error(`${MEMORY_DIRECTORY} has too little room; ask for less`)
    }
    await make(path)
    return path
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true })
  }
}
