// A real daemon as a child of this process, without the command line between: it begins and is killed as fast as a
// machine can, also in the middle of its start.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { connectControl, type ControlClient } from '../../src/control/client.ts'
import type { MethodInput, MethodName, MethodResult } from '../../src/control/methods.ts'
import type { CopyAnswer, DaemonOptions } from '../../src/daemon/contract.ts'
import { BARE_NODE } from './bare-node.ts'
import { tool } from './mounted.ts'

const HOST = resolve(import.meta.dirname, 'daemon-host.js')
const OUTPUT_CHARACTERS = 4000
type Environment = Readonly<Record<string, string>>

export interface ChildDaemonOptions {
  /** where the store and the keystores' backup lie */
  readonly disk: string
  /** group => passphrase: a start unlocks them, by files */
  readonly passphrases?: Readonly<Record<string, string>>
  readonly env?: Environment
  /** how long freed block files are kept; as the daemon does without it */
  readonly trashSeconds?: number
  /** what the administrator says of a store whose original is still there */
  readonly copyAnswer?: CopyAnswer
}

interface Held {
  ref?(): void
  unref?(): void
}

/** A process that has loaded all of a daemon, or is about to: that takes longer than starting one. */
class Host {
  static #spare: Host | undefined
  readonly process: ChildProcess
  /** Once all its threads have let go of their files. */
  readonly ended: Promise<void>
  output = ''

  private constructor(env: Environment) {
    this.process = spawn('env', [...BARE_NODE, HOST], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, UV_THREADPOOL_SIZE: '8', ...env },
    })
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on('data', (text: Buffer) => {
        this.output = (this.output + text.toString()).slice(-OUTPUT_CHARACTERS)
      })
    }
    this.ended = new Promise(done => this.process.once('exit', () => done()))
  }

  /** Another one is made ready meanwhile, unless this one is of another kind. */
  static take(env: Environment): Host {
    if (Object.keys(env).length > 0) return new Host(env)
    const host = Host.#spare ?? new Host({})
    host.#hold(true)
    Host.#spare = new Host({})
    Host.#spare.#hold(false)
    return host
  }

  /** Whether this process waits for it. One that is let go ends with this process. */
  #hold(isHeld: boolean): void {
    const { channel, stdout, stderr } = this.process
    for (const each of [this.process, channel, stdout, stderr] as (Held | null | undefined)[]) {
      if (isHeld) each?.ref?.()
      else each?.unref?.()
    }
  }
}

export class ChildDaemon {
  readonly mount: string
  readonly store: string
  readonly #base: string
  readonly #options: DaemonOptions
  readonly #env: Environment
  #host: Host | undefined
  #control: ControlClient | undefined

  constructor(options: ChildDaemonOptions) {
    const { disk, passphrases = {}, env = {}, trashSeconds, copyAnswer } = options
    this.#base = mkdtempSync(join(tmpdir(), 'coffer-child-'))
    this.mount = join(this.#base, 'mnt')
    this.store = join(disk, 'store')
    mkdirSync(this.mount)
    const passphraseFiles = Object.entries(passphrases).map(([group, passphrase]) => {
      this.usePassphrase(group, passphrase)
      return { group, path: this.#passphraseFile(group) }
    })
    this.#options = {
      store: this.store,
      create: true,
      mount: this.mount,
      socket: join(this.#base, 'coffer.sock'),
      keystoreBackup: join(disk, 'keystore-backup'),
      allowOther: false,
      passphraseFiles,
      requireUnlocked: true,
      ...(trashSeconds !== undefined && { trashSeconds }),
      ...(copyAnswer !== undefined && { copyAnswer }),
    }
    this.#env = env
  }

  #passphraseFile(group: string): string {
    return join(this.#base, `passphrase-${group}`)
  }

  /** In the file by which a start unlocks the group. */
  usePassphrase(group: string, passphrase: string): void {
    writeFileSync(this.#passphraseFile(group), `${passphrase}\n`)
  }

  /** Of the process that runs. */
  get pid(): number {
    const pid = this.#host?.process.pid
    if (pid === undefined) throw new Error('the daemon does not run')
    return pid
  }

  /** It has begun to start; nothing more is known. */
  begin(): void {
    this.#host = Host.take(this.#env)
    this.#host.process.send(this.#options)
  }

  /** It is mounted and answers. */
  async start(): Promise<void> {
    this.begin()
    const host = this.#host
    const ready = new Promise<true>(done => host?.process.once('message', () => done(true)))
    const isReady = await Promise.race([ready, host?.ended.then(() => false)])
    if (isReady !== true) throw new Error(`it did not start: ${host?.output}`)
    this.#control = await connectControl(this.#options.socket)
  }

  call<M extends MethodName>(method: M, params: MethodInput<M>): Promise<MethodResult<M>> {
    if (this.#control === undefined) throw new Error('the daemon does not run')
    return this.#control.call(method, params)
  }

  /** SIGKILL, at whatever it is. The dead mount stays: taking it away is the next start's business. */
  async kill(): Promise<void> {
    this.#host?.process.kill('SIGKILL')
    await this.#host?.ended
    this.#host = undefined
    this.#control?.close()
    this.#control = undefined
  }

  /** Ends whatever still runs; the store stays. */
  async remove(): Promise<void> {
    await this.kill()
    await tool('umount', '-l', this.mount).catch(() => undefined)
    await rm(this.#base, { recursive: true, force: true })
  }
}
