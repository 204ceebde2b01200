// Replaces what the daemon inherits from the shell, cron or supervisor that started it: resource limits, working
// directory, umask, and the signal of a file size limit.

import createDebug from 'debug'
import { CofferError } from '../errors.ts'
import { getLimit, setLimit, type Limit, type LimitName } from '../native/process-limits.ts'

const log = createDebug('coffer:daemon')

/** The store and its metadata hold some hundred files open; each open file of a client may add one. */
const OPEN_FILES_MIN = 4096
/** For the owner alone; files of the mount get their modes from the requests of the kernel. */
const UMASK = 0o077

/** What is limited, and where it is set. */
const SETTINGS: Readonly<Record<LimitName, string>> = {
  core: 'core dumps ("ulimit -c", LimitCORE=)',
  fileSize: 'file sizes ("ulimit -f", LimitFSIZE=)',
  openFiles: 'open files ("ulimit -n", LimitNOFILE=)',
}

/** What a limit should become, and the smallest value that the daemon can work with. */
export interface LimitGoal {
  readonly wanted: Limit
  readonly softMin: number
}

/** The goals for the limits that the process was started with. */
export function limitGoals(current: {
  readonly fileSize: Limit
  readonly openFiles: Limit
}): Record<LimitName, LimitGoal> {
  const openFiles = Math.max(current.openFiles.hard, OPEN_FILES_MIN)
  return {
    core: { wanted: { soft: 0, hard: 0 }, softMin: 0 },
    fileSize: { wanted: { soft: Infinity, hard: Infinity }, softMin: Infinity },
    openFiles: { wanted: { soft: openFiles, hard: openFiles }, softMin: OPEN_FILES_MIN },
  }
}

/** @throws CofferError LIMIT_TOO_LOW when a limit can't be raised to what the daemon needs */
export function resetProcessState(): void {
  // A write beyond a limit fails with EFBIG; the signal's default action would end the process.
  process.on('SIGXFSZ', () => log('got SIGXFSZ'))
  const goals = limitGoals({ fileSize: getLimit('fileSize'), openFiles: getLimit('openFiles') })
  for (const name of ['core', 'fileSize', 'openFiles'] as const) raise(name, goals[name])
  process.chdir('/')
  process.umask(UMASK)
}

function raise(name: LimitName, { wanted, softMin }: LimitGoal): void {
  const current = getLimit(name)
  if (current.soft === wanted.soft && current.hard === wanted.hard) return
  if (setLimit(name, wanted)) return
  // Without privilege only the soft limit can be raised, up to the hard one.
  if (current.hard >= softMin && setLimit(name, { soft: current.hard, hard: current.hard })) return
  throw new CofferError(
    'LIMIT_TOO_LOW',
    `The limit on ${SETTINGS[name]} is ${current.hard}; the daemon needs ` +
      `${softMin === Infinity ? 'unlimited' : `at least ${softMin}`} and may not raise it. ` +
      'Raise it in the shell or unit that starts coffer.',
  )
}
