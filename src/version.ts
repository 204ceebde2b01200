// The version of this program: what `coffer --version` prints, and what a client compares with the daemon's.

import { readFileSync } from 'node:fs'

/** Read when the process starts: a daemon stays what it is while an update replaces the files under it. */
export const VERSION = readVersion()

function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
