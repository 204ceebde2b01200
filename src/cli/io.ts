// What commands need from the process they run in, as one object: tests pass another.

import { createInterface } from 'node:readline/promises'

import type { DaemonOptions, RunningDaemon } from '../daemon/contract.ts'

export interface DaemonModule {
  startDaemon: (options: DaemonOptions) => Promise<RunningDaemon>
}

export interface CliIo {
  env: Readonly<Record<string, string | undefined>>
  isRoot: boolean
  out(text: string): void
  err(text: string): void
  /** The answer typed on the terminal; undefined when there is none. */
  ask(question: string): Promise<string | undefined>
  /** The daemon's code is loaded by `run` only: other commands start faster without it. */
  loadDaemon(): Promise<DaemonModule>
}

export function processIo(): CliIo {
  return {
    env: process.env,
    isRoot: process.getuid?.() === 0,
    out: text => void process.stdout.write(text),
    err: text => void process.stderr.write(text),
    ask: askTerminal,
    loadDaemon: async () => await import('../daemon/index.ts'),
  }
}

async function askTerminal(question: string): Promise<string | undefined> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined
  // On stderr: stdout may be redirected, and holds results only.
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return await new Promise(resolve => {
      // Ctrl-D and Ctrl-C are answers too, namely none.
      lines.once('close', () => resolve(''))
      lines.once('SIGINT', () => lines.close())
      void lines.question(question).then(resolve)
    })
  } finally {
    lines.close()
  }
}
