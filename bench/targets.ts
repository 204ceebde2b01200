// What is compared: coffer on a real mount, the same with encryption, gocryptfs, a filesystem that does nothing over the
// same transport, a plain directory.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run, script } from './processes.ts'

/** The benchmark runs compiled, from dist/bench/. */
const LAUNCHER = script('../../scripts/coffer')
const CONTAINER = 'bench'
const GROUP = 'sealed'

export type TargetName = 'coffer' | 'sealed' | 'gocryptfs' | 'nothing' | 'plain'

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
  readonly name: 'coffer' | 'sealed'
  readonly directory: string
  readonly #base: string
  readonly #mount: string
  /** its daemon's control socket */
  readonly socket: string
  readonly #passphrase: string
  /** its group is there already */
  #isSealed = false

  /** @param name `sealed`: in an encrypted storage group */
  constructor(base: string, name: 'coffer' | 'sealed' = 'coffer') {
    this.name = name
    this.#base = base
    this.#mount = join(base, 'mnt')
    this.socket = join(base, 'run', 'coffer.sock')
    this.#passphrase = join(base, 'passphrase')
    this.directory = join(this.#mount, CONTAINER)
  }

  async #coffer(...args: string[]): Promise<string> {
    return run(LAUNCHER, [...args, '--socket', this.socket])
  }

  async #launch(): Promise<void> {
    const unlock = ['--passphrase-file', `${GROUP}=${this.#passphrase}`]
    await this.#coffer(
      'start',
      '--store',
      join(this.#base, 'store'),
      '--mount',
      this.#mount,
      '--keystore-backup',
      join(this.#base, 'keystore-backup'),
      ...(this.#isSealed ? unlock : []),
    )
  }

  async start(): Promise<void> {
    await mkdir(this.#mount, { recursive: true })
    await this.#launch()
    if (this.name === 'sealed') await this.#makeSealedGroup()
    const group = this.#isSealed ? GROUP : 'DefaultGroup'
    await this.#coffer('container', 'add', CONTAINER, '--group', group)
  }

  async #makeSealedGroup(): Promise<void> {
    await writeFile(this.#passphrase, 'only for the benchmark\n')
    await this.#coffer('storage-group', 'add', GROUP)
    const file = ['--passphrase-file', this.#passphrase]
    await this.#coffer('storage-group', 'set-passphrase', GROUP, ...file)
    await this.#coffer('storage-group', 'encryption', GROUP, '--set', 'on', '--yes')
    this.#isSealed = true
  }

  async restart(): Promise<void> {
    await this.#coffer('stop')
    await this.#launch()
  }

  /** Runs a command of the CLI on its daemon. */
  command(...args: string[]): Promise<string> {
    return this.#coffer(...args)
  }

  async daemonPid(): Promise<number> {
    const status = JSON.parse(await this.#coffer('status', '--json')) as { pid: number }
    return status.pid
  }

  async remove(): Promise<void> {
    await this.#coffer('stop', '--force', '--yes').catch(() => undefined)
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

/** An encrypting filesystem that many trust; each file is a file of its own below. */
export class GocryptfsTarget implements Target {
  readonly name = 'gocryptfs'
  readonly directory: string
  readonly #cipher: string
  readonly #passphrase: string

  constructor(base: string) {
    this.directory = join(base, 'mnt')
    this.#cipher = join(base, 'cipher')
    this.#passphrase = join(base, 'passphrase')
  }

  async start(): Promise<void> {
    await mkdir(this.directory, { recursive: true })
    await mkdir(this.#cipher)
    await writeFile(this.#passphrase, 'only for the benchmark\n')
    await run('gocryptfs', ['-q', '-init', '-passfile', this.#passphrase, this.#cipher])
    await this.#mount()
  }

  async #mount(): Promise<void> {
    const how = ['-q', '-passfile', this.#passphrase]
    await run('gocryptfs', [...how, this.#cipher, this.directory])
  }

  async restart(): Promise<void> {
    await run('umount', [this.directory])
    await this.#mount()
  }

  async remove(): Promise<void> {
    await unmountLazily(this.directory)
    await rm(join(this.#cipher, '..'), { recursive: true, force: true })
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
