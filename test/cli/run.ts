// Runs whole command lines within the test's process, against a daemon in memory.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { runCli } from '../../src/cli/cli.ts'
import type { CliIo } from '../../src/cli/io.ts'
import type { SystemStatus } from '../../src/control/methods.ts'
import { startControlServer } from '../../src/control/server.ts'
import type { ControlTarget } from '../../src/control/target.ts'
import { fakeTarget } from '../control/fake-target.ts'

export interface Outcome {
  status: number
  out: string
  err: string
}

/** The answers are used up one by one; without any there is no terminal. */
export async function run(
  line: string,
  io: Partial<CliIo> = {},
  answers: string[] = [],
): Promise<Outcome> {
  const outcome = { status: 0, out: '', err: '' }
  outcome.status = await runCli(line.split(' '), {
    env: {},
    isRoot: false,
    isTerminal: false,
    out: text => (outcome.out += text),
    err: text => (outcome.err += text),
    ask: async () => answers.shift(),
    askSecret: async () => answers.shift(),
    readStdin: async () => Buffer.alloc(0),
    interrupted: () => AbortSignal.abort(),
    loadDaemon: async () => await Promise.reject(new Error('not in this test')),
    loadRecovery: async () => await Promise.reject(new Error('not in this test')),
    ...io,
  })
  return outcome
}

export async function makeFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-cli-'))
  t.teardown(async () => await rm(folder, { recursive: true }))
  return folder
}

/** Serve a target; returns the environment in which commands find it. */
export async function serveTarget(
  t: Test,
  target: ControlTarget,
): Promise<{ env: { COFFER_SOCKET: string } }> {
  const path = join(await makeFolder(t), 'sock')
  const server = await startControlServer(path, target)
  t.teardown(async () => await server.close())
  return { env: { COFFER_SOCKET: path } }
}

/** The environment that leads to a false daemon of this test. */
export async function serve(
  t: Test,
  status: Partial<SystemStatus> = {},
): Promise<{ env: { COFFER_SOCKET: string } }> {
  return await serveTarget(t, fakeTarget(status))
}
