// What is compared: coffer on a real mount, a filesystem that does nothing over the same transport, a plain directory.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run, script } from './processes.ts'

/** The benchmark runs compiled, from dist/bench/. */
const LAUNCHER = script('../../scripts/coffer')
const CONTAINER = 'bench'

export type TargetName = 'coffer' | 'nothing' | 'plain'

export interface Target {
  readonly name: TargetName
  /** where to write */
  readonly directory: string
  start(): Promise<void>
  /** Forgets what it keeps in its own memory. */
  restart(): Promise<void>
  /** Ends whatever runs and removes everything, also half started. */
  remove(): Promise<void>
}

async function unmountLazily(mountPoint: string): Promise<void> {
  await run('umount', ['-l', mountPoint]).catch(() => undefined)
}

export class CofferTarget implements Target {
  readonly name = 'coffer'
  readonly directory: string
  readonly #base: string
  readonly #mount: string
  readonly #socket: string

  constructor(base: string) {
    this.#base = base
    this.#mount = join(base, 'mnt')
    this.#socket = join(base, 'run', 'coffer.sock')
    this.directory = join(this.#mount, CONTAINER)
  }

  async #coffer(...args: string[]): Promise<string> {
    return run(LAUNCHER, [...args, '--socket', this.#socket])
  }

  async #launch(): Promise<void> {
    await this.#coffer('start', '--store', join(this.#base, 'store'), '--mount', this.#mount)
  }

  async start(): Promise<void> {
    await mkdir(this.#mount, { recursive: true })
    await this.#launch()
    await this.#coffer('container', 'add', CONTAINER)
  }

  async restart(): Promise<void> {
    await this.#coffer('stop')
    await this.#launch()
  }

  async daemonPid(): Promise<number> {
    const status = JSON.parse(await this.#coffer('status', '--json')) as { pid: number }
    return status.pid
  }

  async remove(): Promise<void> {
    await this.#coffer('stop', '--force').catch(() => undefined)
    await unmountLazily(this.#mount)
    await rm(this.#base, { recursive: true, force: true })
  }
}

export class NothingTarget implements Target {
  readonly name = 'nothing'
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

  async restart(): Promise<void> {
    // It keeps no data.
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

export class PlainTarget implements Target {
  readonly name = 'plain'
  readonly directory: string

  constructor(base: string) {
    this.directory = base
  }

  async start(): Promise<void> {
    await mkdir(this.directory, { recursive: true })
  }

  async restart(): Promise<void> {
    // It has no process.
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true })
  }
}
