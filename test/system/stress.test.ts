// stress-ng's filesystem stressors with --verify, which fails a stressor that read other than it wrote. Together for some
// seconds; COFFER_STRESS_SECONDS gives each of them so long by itself.

import { execFile } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'tap'
import { mountSkipReason, startedCoffer } from '../helpers/mounted.ts'

const SECONDS = Number(process.env['COFFER_STRESS_SECONDS'] ?? 0)
const TOGETHER_SECONDS = 3
const WORKERS = 2

/** Those that work on files of the directory they are given, with what keeps their files small. */
const STRESSORS: readonly (readonly [name: string, ...options: string[]])[] = [
  ['access'],
  ['chdir', '--chdir-dirs', '64'],
  ['chmod'],
  ['chown'],
  ['copy-file', '--copy-file-bytes', '128M'],
  ['dentry', '--dentries', '512'],
  ['dir', '--dir-dirs', '512'],
  ['dirdeep', '--dirdeep-inodes', '1000'],
  ['dirmany'],
  ['fallocate', '--fallocate-bytes', '32M'],
  ['fcntl'],
  ['filename'],
  ['flock'],
  ['fpunch'],
  ['fsize'],
  ['fstat'],
  ['getdent'],
  ['handle'],
  ['hdd', '--hdd-bytes', '16M'],
  ['io'],
  ['iomix', '--iomix-bytes', '16M'],
  ['lease'],
  ['link'],
  ['locka'],
  ['lockf'],
  ['lockofd'],
  ['mknod'],
  ['open'],
  ['readahead', '--readahead-bytes', '16M'],
  ['rename'],
  ['seek', '--seek-size', '16M'],
  ['symlink'],
  ['sync-file', '--sync-file-bytes', '16M'],
  ['touch'],
  ['utime'],
  ['xattr'],
]
/** the few that run in a usual test: data, names, locks, attributes */
const QUICK = new Set(
  'copy-file fallocate getdent hdd iomix link lockf rename seek utime xattr'.split(' '),
)

const skip =
  mountSkipReason || (existsSync('/usr/bin/stress-ng') ? false : 'stress-ng is not installed')

test('stress-ng', { skip }, async t => {
  const coffer = await startedCoffer(t, 'c')
  const directory = join(coffer.mount, 'c', 'stress')
  mkdirSync(directory)
  const stress = async (seconds: number, ...options: string[]): Promise<void> => {
    const common = ['--verify', '--timeout', `${seconds}s`, '--temp-path', directory]
    await promisify(execFile)('stress-ng', [...common, ...options], { cwd: directory })
  }
  const arguments_ = (
    workers: number,
    [name, ...options]: (typeof STRESSORS)[number],
  ): string[] => [`--${name}`, String(workers), ...options]

  if (SECONDS > 0) {
    for (const stressor of STRESSORS) {
      await t.resolves(stress(SECONDS, ...arguments_(WORKERS, stressor)), stressor[0])
    }
  } else {
    const quick = STRESSORS.filter(([name]) => QUICK.has(name))
    await t.resolves(
      stress(TOGETHER_SECONDS, ...quick.flatMap(stressor => arguments_(1, stressor))),
      quick.map(([name]) => name).join(' '),
    )
  }
})
