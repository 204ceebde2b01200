// coffer itself as a target: a store of its own, a daemon, one container.

import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { launchDaemon } from '../src/cli/launch.ts'
import { forgetPeak, statusBytes } from './peak-memory.ts'
import { bytesBelow, run, script } from './processes.ts'
import { unmountLazily, type Target } from './targets.ts'

/** The benchmark runs compiled, from dist/bench/. */
const LAUNCHER = script('../../scripts/coffer')
const MAIN = script('../src/cli/main.js')
const LAUNCHER_THREADS = '8'
const CONTAINER = 'bench'
const GROUP = 'bench'
/** Where the daemons of this run leave their CPU profiles. */
const PROFILE_VARIABLE = 'COFFER_BENCH_PROFILE'

export class CofferTarget implements Target {
  readonly name: 'coffer' | 'sealed'
  readonly keepsData = true
  readonly directory: string
  /** its daemon's control socket */
  readonly socket: string
  readonly #base: string
  readonly #mount: string
  readonly #passphrase: string
  readonly #compression: 'fast' | 'best'
  /** the encrypted group is there already */
  #isSealed = false
  #pid: number | undefined

  /** @param name `sealed`: in an encrypted storage group */
  constructor(
    base: string,
    name: 'coffer' | 'sealed' = 'coffer',
    compression: 'fast' | 'best' = 'fast',
  ) {
    this.name = name
    this.#base = base
    this.#mount = join(base, 'mnt')
    this.socket = join(base, 'run', 'coffer.sock')
    this.#passphrase = join(base, 'passphrase')
    this.#compression = compression
    this.directory = join(this.#mount, CONTAINER)
  }

  get store(): string {
    return join(this.#base, 'store')
  }

  /** Runs a command of the CLI on its daemon. */
  command(...args: string[]): Promise<string> {
    return run(LAUNCHER, [...args, '--socket', this.socket])
  }

  async resume(): Promise<void> {
    const profile = process.env[PROFILE_VARIABLE]
    const options = [
      `--socket=${this.socket}`,
      `--store=${this.store}`,
      '--create',
      `--mount=${this.#mount}`,
      `--keystore-backup=${join(this.#base, 'keystore-backup')}`,
      ...(this.#isSealed ? [`--passphrase-file=${GROUP}=${this.#passphrase}`] : []),
    ]
    if (profile === undefined) await run(LAUNCHER, ['start', ...options])
    else await this.#resumeProfiled(profile, options)
  }

  /** Node takes no --cpu-prof from NODE_OPTIONS, so this does what the launcher does. */
  async #resumeProfiled(profile: string, options: readonly string[]): Promise<void> {
    process.env['UV_THREADPOOL_SIZE'] ??= LAUNCHER_THREADS
    const profiling = ['--cpu-prof', `--cpu-prof-dir=${profile}`]
    const log = join(this.#base, 'daemon.log')
    await launchDaemon([...profiling, MAIN, 'run', ...options], log)
  }

  async start(): Promise<void> {
    await mkdir(this.#mount, { recursive: true })
    await this.resume()
    await this.command('storage-group', 'add', GROUP, '--compression', this.#compression)
    if (this.name === 'sealed') await this.#seal()
    await this.command('container', 'add', CONTAINER, '--group', GROUP)
  }

  async #seal(): Promise<void> {
    await writeFile(this.#passphrase, 'only for the benchmark\n')
    const file = ['--passphrase-file', this.#passphrase]
    await this.command('storage-group', 'set-passphrase', GROUP, ...file)
    await this.command('storage-group', 'encryption', GROUP, '--set', 'on', '--yes')
    this.#isSealed = true
  }

  async stop(): Promise<void> {
    this.#pid = undefined
    await this.command('stop')
  }

  async daemonPid(): Promise<number> {
    const status = async (): Promise<number> => {
      return (JSON.parse(await this.command('status', '--json')) as { pid: number }).pid
    }
    this.#pid ??= await status()
    return this.#pid
  }

  async forgetPeakMemory(): Promise<void> {
    await forgetPeak(await this.daemonPid())
  }

  async peakMemoryBytes(): Promise<number> {
    return statusBytes(await this.daemonPid(), 'VmHWM')
  }

  /** What the store takes on the disk, with its metadata. */
  storedBytes(): Promise<number> {
    return bytesBelow(this.store)
  }

  async remove(): Promise<void> {
    await this.command('stop', '--force', '--yes').catch(() => undefined)
    await unmountLazily(this.#mount)
    await rm(this.#base, { recursive: true, force: true })
  }
}
