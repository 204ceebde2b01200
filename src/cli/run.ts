// The daemon's process: starts it, tells a launcher, turns signals into an orderly end.

import createDebug from 'debug'

import type { DaemonOptions, RunningDaemon } from '../daemon/contract.ts'
import { CofferError } from '../errors.ts'
import type { CliIo } from './io.ts'
import { tellLauncher } from './launch.ts'
import { tellSupervisor } from './supervisor.ts'

const debug = createDebug('coffer:cli')

/** A closed terminal ends a foreground daemon as orderly as systemd's and Ctrl-C's signals do. */
const stopSignals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/** Run a daemon until it has ended. Rejects when it can't start, or ended because something broke. */
export async function runDaemon(io: CliIo, options: DaemonOptions): Promise<void> {
  const stopper = new Stopper(io)
  for (const signal of stopSignals) process.on(signal, stopper.onSignal)
  try {
    const daemon = await startTelling(io, options)
    stopper.attach(daemon)
    await daemon.stopped
  } finally {
    for (const signal of stopSignals) process.off(signal, stopper.onSignal)
  }
}

async function startTelling(io: CliIo, options: DaemonOptions): Promise<RunningDaemon> {
  try {
    const { startDaemon } = await io.loadDaemon()
    const daemon = await startDaemon(options)
    const { notices, warnings } = daemon
    await tellLauncher({ ready: true, notices, warnings })
    await tellSupervisor()
    return daemon
  } catch (error) {
    const code = error instanceof CofferError ? error.code : 'START_FAILED'
    const message = error instanceof Error ? error.message : String(error)
    await tellLauncher({ error: { code, message } })
    throw error
  }
}

/** Signals may come before there is a daemon to stop, and more than once. */
class Stopper {
  readonly #io: CliIo
  #daemon: RunningDaemon | undefined
  #signals = 0

  constructor(io: CliIo) {
    this.#io = io
  }

  attach(daemon: RunningDaemon): void {
    this.#daemon = daemon
    if (this.#signals > 0) this.#stop()
  }

  readonly onSignal = (signal: NodeJS.Signals): void => {
    debug('got %s', signal)
    this.#signals += 1
    this.#stop()
  }

  #stop(): void {
    // Whoever sends a second signal means it: files that are open no longer keep the mount.
    const force = this.#signals > 1
    this.#daemon?.stop({ force }).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error)
      this.#io.err(`The daemon goes on: ${reason}\n`)
    })
  }
}
