// Replaces what the daemon inherits from the shell, cron or supervisor that started it: resource limits, working
// directory, umask, and the signal of a file size limit.

import createDebug from 'debug'
import { CofferError } from '../errors.ts'
import { getLimit, setLimit, type Limit, type LimitName } from '../native/process-limits.ts'

const log = createDebug('coffer:daemon')

/** The store and its metadata hold some hundred files open; each open file of a client may add one. */
const OPEN_FILES_MIN = 4096
/** Node and LevelDB reserve addresses far beyond what they use: some 10 GiB at a large store. */
const ADDRESS_SPACE_BYTES_MIN = 16 * 2 ** 30
/** Buffers, caches and the heap of a busy daemon, with room to spare. */
const DATA_SIZE_BYTES_MIN = 4 * 2 ** 30
/** For the owner alone; files of the mount get their modes from the requests of the kernel. */
const UMASK = 0o077

/** What is limited, and where it is set. */
const SETTINGS: Readonly<Record<LimitName, string>> = {
  core: 'core dumps ("ulimit -c", LimitCORE=)',
  fileSize: 'file sizes ("ulimit -f", LimitFSIZE=)',
  openFiles: 'open files ("ulimit -n", LimitNOFILE=)',
  cpuTime: 'seconds of CPU time ("ulimit -t", LimitCPU=)',
  addressSpace: 'bytes of address space ("ulimit -v", LimitAS=)',
  dataSize: 'bytes of data ("ulimit -d", LimitDATA=)',
}

const LIMITS = Object.keys(SETTINGS) as LimitName[]

/** What a limit should become, and the smallest value that the daemon can work with. */
export interface LimitGoal {
  readonly wanted: Limit
  readonly softMin: number
}

const UNLIMITED: Limit = { soft: Infinity, hard: Infinity }

/** The goals for the limits that the process was started with. */
export function limitGoals(current: { readonly openFiles: Limit }): Record<LimitName, LimitGoal> {
  const openFiles = Math.max(current.openFiles.hard, OPEN_FILES_MIN)
  return {
    core: { wanted: { soft: 0, hard: 0 }, softMin: 0 },
    fileSize: { wanted: UNLIMITED, softMin: Infinity },
    openFiles: { wanted: { soft: openFiles, hard: openFiles }, softMin: OPEN_FILES_MIN },
    // The kernel kills a process that has used up its CPU time, sooner or later.
    cpuTime: { wanted: UNLIMITED, softMin: Infinity },
    addressSpace: { wanted: UNLIMITED, softMin: ADDRESS_SPACE_BYTES_MIN },
    dataSize: { wanted: UNLIMITED, softMin: DATA_SIZE_BYTES_MIN },
  }
}

/** @throws CofferError LIMIT_TOO_LOW when a limit can't be raised to what the daemon needs */
export function resetProcessState(): void {
  // A write beyond a limit fails with EFBIG; the signal's default action would end the process.
  process.on('SIGXFSZ', () => log('got SIGXFSZ'))
  const goals = limitGoals({ openFiles: getLimit('openFiles') })
  for (const name of LIMITS) raise(name, goals[name])
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
