// Two versions of a real tree: the same packages of npm, an older and a newer release of each.

import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { run } from './processes.ts'

/** Kept between runs: what was fetched once is not fetched again. */
const CACHE = resolve(import.meta.dirname, '../../data/bench-trees')

/** Big and small ones, some of few big files and some of thousands of small ones. */
const PACKAGES = {
  older: ['typescript@5.4.5', 'date-fns@3.5.0', 'three@0.162.0', 'webpack@5.90.3'],
  newer: ['typescript@5.5.4', 'date-fns@3.6.0', 'three@0.163.0', 'webpack@5.91.0'],
} as const

async function fetchTree(version: keyof typeof PACKAGES, signal: AbortSignal): Promise<string> {
  const tree = resolve(CACHE, version, 'packages')
  if (existsSync(tree)) return tree
  const partial = resolve(CACHE, version, 'partial')
  await rm(partial, { recursive: true, force: true })
  await mkdir(partial, { recursive: true })
  for (const name of PACKAGES[version]) {
    const options = { signal }
    const output = await run(
      'npm',
      ['pack', '--silent', '--pack-destination', partial, name],
      options,
    )
    const archive = resolve(partial, output.trim())
    const directory = resolve(partial, name.replace(/@[^@]*$/, ''))
    await mkdir(directory)
    await run('tar', ['-xzf', archive, '-C', directory, '--strip-components=1'], options)
    await rm(archive)
  }
  await rename(partial, tree)
  return tree
}

/** The directories of both, fetched when they are not there yet. */
export async function fetchTrees(signal: AbortSignal): Promise<readonly [string, string]> {
  return [await fetchTree('older', signal), await fetchTree('newer', signal)]
}
