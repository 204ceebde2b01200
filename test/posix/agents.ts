// The same calls on the mount and on a plain directory of the machine's own filesystem, by processes of their own.

import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { createInterface, type Interface } from 'node:readline'

/** Tests run compiled, from dist/test/posix/. */
const PROGRAM = resolve(import.meta.dirname, '../../../test/posix/agent.py')

/** One call: its name in agent.py and its arguments. */
export interface Call {
  readonly op: string
  /** uid and groups, the first of which is the effective one; absent = root */
  readonly user?: readonly number[]
  readonly [argument: string]: unknown
}

/** What a call gave: `ok` or an errno's name. */
export type Outcome = { readonly ok: unknown } | { readonly errno: string }

/** A process that carries out calls in one directory. */
export class Agent {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #lines: Interface
  #waiting: ((line: string | undefined) => void)[] = []

  constructor(directory: string) {
    this.#child = spawn('python3', [PROGRAM], { cwd: directory })
    this.#lines = createInterface(this.#child.stdout)
    this.#lines.on('line', line => this.#waiting.shift()?.(line))
    this.#child.stderr.pipe(process.stderr)
    this.#child.once('exit', () => {
      for (const done of this.#waiting.splice(0)) done(undefined)
    })
  }

  async run(call: Call): Promise<Outcome> {
    const reply = new Promise<string | undefined>(done => this.#waiting.push(done))
    this.#child.stdin.write(`${JSON.stringify(call)}\n`)
    const line = await reply
    if (line === undefined) throw new Error(`the agent ended in ${JSON.stringify(call)}`)
    return JSON.parse(line) as Outcome
  }

  /** SIGKILL: what it held must be released by whoever notices. */
  async kill(): Promise<void> {
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.stdin.end()
    await gone
  }
}

/** Two processes on each of two directories, which are to behave alike. */
export class Sides {
  readonly #mount: readonly Agent[]
  readonly #plain: readonly Agent[]
  readonly #mountBase: string
  readonly #plainBase: string

  constructor(mountBase: string, plainBase: string) {
    this.#mountBase = mountBase
    this.#plainBase = plainBase
    // not started in the directories, so that the mount can come and go
    this.#mount = [new Agent('/'), new Agent('/')]
    this.#plain = [new Agent('/'), new Agent('/')]
  }

  /** Everybody closes everything and goes on in a directory of this name. */
  async home(name: string): Promise<void> {
    for (const agent of this.#mount)
      await agent.run({ op: 'home', path: join(this.#mountBase, name) })
    for (const agent of this.#plain)
      await agent.run({ op: 'home', path: join(this.#plainBase, name) })
  }

  /** One call on both sides. @param process 0 or 1 */
  async run(process: number, call: Call): Promise<{ mount: Outcome; plain: Outcome }> {
    const plain = await this.#plain[process]?.run(call)
    const mount = await this.#mount[process]?.run(call)
    if (plain === undefined || mount === undefined) throw new RangeError('there are two processes')
    return { mount, plain }
  }

  async end(): Promise<void> {
    await Promise.all([...this.#mount, ...this.#plain].map(agent => agent.end()))
  }
}
