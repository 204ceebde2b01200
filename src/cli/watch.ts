// --watch: the same output again and again, until somebody interrupts it or nobody reads it any more.

import { setTimeout as sleep } from 'node:timers/promises'
import type { ControlClient } from '../control/client.ts'
import { print, withControl, writeReply } from './common.ts'
import type { GlobalArgs } from './common.ts'
import type { CliIo } from './io.ts'

const INTERVAL_MS = 2000
/** ECMA-48: cursor to the top, erase to the end of the line, erase what is below. */
const HOME = '\u001B[H'
const ERASE_LINE = '\u001B[K'
const ERASE_BELOW = '\u001B[J'

export interface WatchArgs extends GlobalArgs {
  watch: boolean
}

export interface Watched<T> {
  readonly call: (client: ControlClient) => Promise<T>
  readonly write: (reply: T) => string
}

/** Prints once, or with --watch every two seconds over one connection. */
export async function printOrWatch<T>(
  io: CliIo,
  argv: WatchArgs,
  watched: Watched<T>,
  intervalMs = INTERVAL_MS,
): Promise<void> {
  await withControl(io, argv, async client => {
    if (!argv.watch) {
      print(io, argv, await watched.call(client), watched.write)
      return
    }
    const interrupted = io.interrupted()
    for (let round = 0; !interrupted.aborted; round += 1) {
      const reply = await watched.call(client)
      if (argv.json) io.out(`${JSON.stringify(reply)}\n`)
      else io.out(frame(io, writeReply(reply, watched.write), round))
      await sleep(intervalMs, undefined, { signal: interrupted }).catch((error: unknown) => {
        if (!interrupted.aborted) throw error
      })
    }
  })
}

/** A terminal is drawn over line by line, which doesn't flicker; elsewhere an empty line parts the rounds. */
function frame(io: CliIo, text: string, round: number): string {
  if (!io.isTerminal) return round === 0 ? text : `\n${text}`
  return `${HOME}${text.replaceAll('\n', `${ERASE_LINE}\n`)}${ERASE_BELOW}`
}
