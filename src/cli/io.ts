// What commands need from the process they run in, as one object: tests pass another.

import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'

import type {
  DaemonOptions,
  RecoveryOptions,
  RecoveryReport,
  RunningDaemon,
} from '../daemon/contract.ts'

export interface DaemonModule {
  startDaemon: (options: DaemonOptions) => Promise<RunningDaemon>
}

export interface RecoveryModule {
  recoverStore: (options: RecoveryOptions) => Promise<RecoveryReport>
}

export interface CliIo {
  env: Readonly<Record<string, string | undefined>>
  isRoot: boolean
  /** whether somebody looks at what `out` prints */
  isTerminal: boolean
  /** What can be drawn on beside the results: stderr, when it is a terminal. */
  terminal?: NodeJS.WritableStream | undefined
  out(text: string): void
  err(text: string): void
  /** The answer typed on the terminal; undefined when there is none. */
  ask(question: string): Promise<string | undefined>
  /** As `ask`, without showing what is typed. */
  askSecret(question: string): Promise<string | undefined>
  /** What stdin holds, up to its end or to so many bytes. */
  readStdin(maxBytes: number): Promise<Buffer>
  /** Aborts when the user has had enough (Ctrl-C), or reads no more (`| head`). Asked for at most once. */
  interrupted(): AbortSignal
  /** The daemon's code is loaded by `run` only: other commands start faster without it. */
  loadDaemon(): Promise<DaemonModule>
  loadRecovery(): Promise<RecoveryModule>
}

export function processIo(): CliIo {
  return {
    env: process.env,
    isRoot: process.getuid?.() === 0,
    isTerminal: process.stdout.isTTY === true,
    terminal: process.stderr.isTTY ? process.stderr : undefined,
    out: text => void process.stdout.write(text),
    err: text => void process.stderr.write(text),
    ask: async question => await askTerminal(question, process.stderr),
    askSecret: askTerminalSecretly,
    readStdin,
    interrupted,
    loadDaemon: async () => await import('../daemon/start.ts'),
    loadRecovery: async () => await import('../daemon/index.ts'),
  }
}

/** Questions go to stderr: stdout may be redirected, and holds results only. */
async function askTerminal(question: string, output: Writable): Promise<string | undefined> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined
  const lines = createInterface({ input: process.stdin, output, terminal: true })
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

/** readline in terminal mode echoes to its output alone, so an output that swallows everything hides the answer. */
async function askTerminalSecretly(question: string): Promise<string | undefined> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  process.stderr.write(question)
  try {
    return await askTerminal('', silent)
  } finally {
    process.stderr.write('\n')
  }
}

function interrupted(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => controller.abort())
  }
  // A pipe whose reader has gone: the end, not a failure.
  process.stdout.on('error', () => controller.abort())
  return controller.signal
}

async function readStdin(maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk)
    chunks.push(bytes)
    length += bytes.length
    if (length >= maxBytes) break
  }
  return Buffer.concat(chunks).subarray(0, maxBytes)
}
