// A real daemon on a real mount, for tests: started by the launcher, as an administrator would.

import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs'
import { readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { connectControl } from '../../src/control/client.ts'

const run = promisify(execFile)

/** Tests run compiled, from dist/test/helpers/. */
const LAUNCHER = resolve(import.meta.dirname, '../../../scripts/coffer')
/** Without the hooks that the test runner gives every node below it: they double the time that a command takes. */
const UNHOOKED = ['-u', 'NODE_OPTIONS', LAUNCHER]
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024

/** Why tests that mount can't run here, or false. */
export const mountSkipReason: string | false = existsSync('/dev/fuse')
  ? process.getuid?.() === 0
    ? false
    : 'mounts as a normal user are tested where fusermount3 allows them; these tests run as root'
  : '/dev/fuse is missing'

/** What a test offers for the cleaning-up. */
interface Teardown {
  teardown(done: () => Promise<void>): void
}

/** A running daemon on a new store with these containers, removed when the test ends. */
export async function startedCoffer(
  test: Teardown,
  ...containers: string[]
): Promise<MountedCoffer> {
  const coffer = new MountedCoffer()
  test.teardown(() => coffer.remove())
  await coffer.start()
  for (const container of containers) await coffer.coffer('container', 'add', container)
  return coffer
}

export class MountedCoffer {
  readonly base: string
  readonly store: string
  readonly mount: string
  readonly socket: string
  readonly keystoreBackup: string
  readonly launcher = LAUNCHER

  /** @param disk where the store and the keystores' backup lie; otherwise beside the mount point */
  constructor(disk?: string) {
    this.base = mkdtempSync(join(tmpdir(), 'coffer-system-'))
    this.store = join(disk ?? this.base, 'store')
    this.mount = join(this.base, 'mnt')
    this.socket = join(this.base, 'run', 'coffer.sock')
    this.keystoreBackup = join(disk ?? this.base, 'keystore-backup')
    mkdirSync(this.mount)
  }

  /** Runs a command of the CLI. Rejects with `code` and `stderr` when it fails. */
  async coffer(...args: string[]): Promise<string> {
    const { stdout } = await run('env', [...UNHOOKED, ...args, '--socket', this.socket], {
      maxBuffer: OUTPUT_BYTES_MAX,
    })
    return stdout
  }

  get #options(): string[] {
    const backup = ['--keystore-backup', this.keystoreBackup]
    return ['--store', this.store, '--mount', this.mount, ...backup]
  }

  async json<Result>(...args: string[]): Promise<Result> {
    return JSON.parse(await this.coffer(...args, '--json')) as Result
  }

  async start(...options: string[]): Promise<void> {
    await this.coffer('start', ...this.#options, ...options)
  }

  /** `coffer run`: the daemon as a child of the test, mounted and ready. */
  async runInForeground(): Promise<ChildProcess> {
    const options = [...this.#options, '--create', '--socket', this.socket]
    const child = spawn('env', [...UNHOOKED, 'run', ...options], { stdio: 'ignore' })
    for (;;) {
      const isReady = await this.coffer('status').then(
        () => true,
        () => false,
      )
      if (isReady) return child
      if (child.exitCode !== null) throw new Error(`the daemon ended with ${child.exitCode}`)
    }
  }

  async stop(): Promise<void> {
    await this.coffer('stop')
  }

  /** SIGKILL. The dead mount stays: taking it away is the next start's business. */
  async kill(): Promise<void> {
    // Not by the CLI, which takes longer to begin than a kill takes.
    const control = await connectControl(this.socket)
    const { pid } = await control.call('system.status', {})
    control.close()
    process.kill(pid, 'SIGKILL')
    while (await isRunning(pid)) await new Promise(done => setTimeout(done, 10))
  }

  /** Ends whatever still runs and removes everything. */
  async remove(): Promise<void> {
    await this.coffer('stop', '--force', '--yes').catch(() => undefined)
    await run('umount', ['-l', this.mount]).catch(() => undefined)
    await rm(this.base, { recursive: true, force: true })
  }
}

/** Whoever has ended holds nothing any more, even if its parent asks for its status only later. */
async function isRunning(pid: number): Promise<boolean> {
  try {
    // The first thread may be gone before those that still hold files.
    const threads = await readdir(`/proc/${pid}/task`)
    return threads.length > 1 || !/\) [ZX] /.test(await readFile(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

/** Runs a program; rejects with its stderr when it fails. */
export async function tool(command: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(command, args, { maxBuffer: OUTPUT_BYTES_MAX })
  return stdout
}

/** A shell line, for pipes. */
export async function shell(line: string): Promise<string> {
  return tool('bash', '-euo', 'pipefail', '-c', line)
}
