// Child processes of the benchmark: run one to its end, stoppable half way.

import { spawn } from 'node:child_process'
import { resolve } from 'node:path'

export interface RunOptions {
  readonly signal?: AbortSignal | undefined
  /** in addition to the benchmark's own */
  readonly environment?: Readonly<Record<string, string>>
}

/** A built script of this folder. */
export function script(name: string): string {
  return resolve(import.meta.dirname, name)
}

/**
 * Runs a program to its end and returns what it printed. Rejects when it fails. An abort kills it, and is reported once
 * it has ended, so that cleaning up finds no file in use.
 */
export async function run(
  command: string,
  args: readonly string[],
  { signal, environment }: RunOptions = {},
): Promise<string> {
  signal?.throwIfAborted()
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  })
  const kill = (): void => {
    child.kill('SIGKILL')
  }
  signal?.addEventListener('abort', kill)
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (piece: Buffer) => stdout.push(piece))
  child.stderr.on('data', (piece: Buffer) => stderr.push(piece))
  try {
    const code = await new Promise<number | null>((done, fail) => {
      child.once('error', fail)
      child.once('close', done)
    })
    signal?.throwIfAborted()
    if (code !== 0) {
      const output = Buffer.concat(stderr).toString().trim()
      throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${output}`)
    }
    return Buffer.concat(stdout).toString()
  } finally {
    signal?.removeEventListener('abort', kill)
  }
}

/** Runs a line of the shell; what stands behind it are its arguments, $1 and so on. */
export function shell(line: string, args: readonly string[] = [], options?: RunOptions) {
  return run('bash', ['-euo', 'pipefail', '-c', line, 'bash', ...args], options)
}

/** What a directory takes on the disk. */
export async function bytesBelow(directory: string): Promise<number> {
  return Number((await run('du', ['-sB1', directory])).split('\t')[0])
}
