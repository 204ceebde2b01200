// What coffer is compared with: gocryptfs, cryfs, a filesystem that does nothing over the same transport, a plain directory.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run, script, shell } from './processes.ts'

export type TargetName = 'coffer' | 'sealed' | 'gocryptfs' | 'cryfs' | 'nothing' | 'plain'

export interface Target {
  readonly name: TargetName
  /** where to write */
  readonly directory: string
  /** what is written can be read */
  readonly keepsData: boolean
  start(): Promise<void>
  /** Ends its process, if it has one; what was written stays. */
  stop(): Promise<void>
  /** Begins again after `stop`. */
  resume(): Promise<void>
  /** Ends whatever runs and removes everything, also half started. */
  remove(): Promise<void>
  /** where it is coffer: the daemon */
  daemonPid?(): Promise<number>
  /** of its process, since it was asked to forget or began again */
  peakMemoryBytes?(): Promise<number>
  forgetPeakMemory?(): Promise<void>
}

export function isInstalled(program: string): boolean {
  const folders = (process.env['PATH'] ?? '').split(':')
  return folders.some(folder => existsSync(join(folder, program)))
}

export async function unmountLazily(mountPoint: string): Promise<void> {
  await run('umount', ['-l', mountPoint]).catch(() => undefined)
}

export class NothingTarget implements Target {
  readonly name = 'nothing'
  readonly keepsData = false
  readonly directory: string
  #process: ChildProcess | undefined

  constructor(base: string) {
    this.directory = base
  }

  async start(): Promise<void> {
    await mkdir(this.directory, { recursive: true })
    // Its writers bypass the page cache, as coffer's do.
    // Detached: an interrupt from the keyboard must end the worker first.
    const child = spawn(process.execPath, [script('null-mount.js'), this.directory, 'writers'], {
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#process = child
    const outcome = await Promise.race([
      once(child.stdout, 'data').then(() => 'mounted'),
      once(child, 'exit').then(() => 'ended'),
    ])
    child.stdout.resume()
    if (outcome !== 'mounted') throw new Error('the do-nothing filesystem did not mount')
  }

  async stop(): Promise<void> {
    // It would forget its names, and it keeps no data that could be in memory.
  }

  async resume(): Promise<void> {
    // It was not stopped.
  }

  async remove(): Promise<void> {
    const child = this.#process
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    }
    await unmountLazily(this.directory)
    await rm(this.directory, { recursive: true, force: true })
  }
}

/** What two encrypting filesystems have in common: ciphertext in one directory, a mount, a passphrase in a file. */
abstract class EncryptingTarget implements Target {
  abstract readonly name: TargetName
  readonly keepsData = true
  readonly directory: string
  protected readonly base: string
  protected readonly cipher: string
  protected readonly passphrase: string

  constructor(base: string) {
    this.base = base
    this.directory = join(base, 'mnt')
    this.cipher = join(base, 'cipher')
    this.passphrase = join(base, 'passphrase')
  }

  async start(): Promise<void> {
    await mkdir(this.directory, { recursive: true })
    await mkdir(this.cipher)
    await writeFile(this.passphrase, 'only for the benchmark\n')
    await this.prepare()
    await this.resume()
  }

  protected abstract prepare(): Promise<void>
  abstract resume(): Promise<void>

  async stop(): Promise<void> {
    await run('umount', [this.directory])
  }

  async remove(): Promise<void> {
    await unmountLazily(this.directory)
    await rm(this.base, { recursive: true, force: true })
  }
}

/** An encrypting filesystem that many trust; each file is a file of its own below. */
export class GocryptfsTarget extends EncryptingTarget {
  readonly name = 'gocryptfs'

  protected override async prepare(): Promise<void> {
    await run('gocryptfs', ['-q', '-init', '-passfile', this.passphrase, this.cipher])
  }

  override async resume(): Promise<void> {
    await run('gocryptfs', ['-q', '-passfile', this.passphrase, this.cipher, this.directory])
  }
}

/** An encrypting filesystem that hides sizes and names: all is in blocks of 16 KiB, each a file below. */
export class CryfsTarget extends EncryptingTarget {
  readonly name = 'cryfs'

  protected override async prepare(): Promise<void> {
    // The first mount makes it.
  }

  override async resume(): Promise<void> {
    const environment = {
      CRYFS_FRONTEND: 'noninteractive',
      CRYFS_NO_UPDATE_CHECK: 'true',
      CRYFS_LOCAL_STATE_DIR: join(this.base, 'state'),
    }
    // The cipher that the others use. Its process in the background would keep our pipes open.
    await shell(
      'cryfs --cipher aes-256-gcm "$1" "$2" < "$3" > "$4" 2>&1',
      [this.cipher, this.directory, this.passphrase, join(this.base, 'log')],
      { environment },
    )
  }

  override async stop(): Promise<void> {
    await super.stop()
    await this.#ended()
  }

  /** Its process writes its cache back when it has been unmounted; until then it can't be mounted again. */
  async #ended(): Promise<void> {
    await shell(
      'for process in /proc/[0-9]*; do ' +
        'if tr "\\0" " " < $process/cmdline 2>/dev/null | grep -qF "cryfs --cipher aes-256-gcm $1 "; ' +
        'then tail --pid=${process#/proc/} -f /dev/null; fi; done',
      [this.cipher],
    )
  }

  override async remove(): Promise<void> {
    await unmountLazily(this.directory)
    await this.#ended()
    await super.remove()
  }
}

export class PlainTarget implements Target {
  readonly name = 'plain'
  readonly keepsData = true
  readonly directory: string

  constructor(base: string) {
    this.directory = base
  }

  async start(): Promise<void> {
    await mkdir(this.directory, { recursive: true })
  }

  async stop(): Promise<void> {
    // It has no process.
  }

  async resume(): Promise<void> {
    // It has no process.
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true })
  }
}
