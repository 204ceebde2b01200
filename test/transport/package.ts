// Which package carries the requests in these tests: the one that a daemon on this Node would take.

import { loadPackage } from '../../src/fuse/callbacks/packages.ts'
import { mountSkipReason } from '../helpers/mounted.ts'
import type { PackageName } from './differences.ts'

const found = find()

/** Its name; of no meaning when there is none, which `transportSkipReason` tells. */
export const served: PackageName = typeof found === 'string' ? 'fuse-napi' : found.name

/** Why the second transport can't be tested here, or false. */
export const transportSkipReason: string | false =
  mountSkipReason === false && typeof found === 'string' ? found : mountSkipReason

/** Of `coffer start`. Only one of the packages says who makes a call, and so lets others than root in. */
export const startOptions: string[] = [
  '--transport',
  'fuse-native',
  ...(served === 'fuse-napi' ? ['--allow-other'] : []),
]

function find(): { readonly name: PackageName } | string {
  try {
    return loadPackage()
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
