// The packages that can carry requests, and finding one. Both are optional: what they are made of may not load on this
// machine, and most mounts don't need them.

import { createRequire } from 'node:module'
import { errorCode, MountError } from '../mount-point.ts'

const require = createRequire(import.meta.url)

/** A callback's reply: 0 or a negative errno, and what was asked for. */
export type Reply<T = never> = (result: number, value?: T) => void

/** One mount of a package. Both inherit from nanoresource. */
export interface PackageMount {
  mount(done: (error: Error | null) => void): void
  unmount(done: (error: Error | null) => void): void
  /** who makes the call that is being carried out; one of the packages knows */
  context?(): PackageContext | null
}

export interface PackageContext {
  readonly uid: number
  readonly gid: number
  readonly pid: number
  readonly umask: number
  readonly fileInfo: { readonly flags: number } | null
}

export interface PackageClass {
  new (mountPoint: string, operations: object, options: object): PackageMount
  unmount(mountPoint: string, done: (error: Error | null) => void): void
  /** fuse-napi's look at the machine before it mounts */
  checkEnvironment?(options: object, done: (error: Error | null) => void): void
}

export interface CallbackPackage {
  readonly name: 'fuse-napi' | 'fuse-native'
  readonly version: string
  readonly Fuse: PackageClass
}

/** The better one first: the other loses modification times, and more (docs/posix.md). */
const NAMES = ['fuse-napi', 'fuse-native'] as const

/**
 * The first of the packages that loads.
 * @throws MountError TRANSPORT_MISSING with what to install
 */
export function loadPackage(load: (id: string) => unknown = require): CallbackPackage {
  const failures: string[] = []
  for (const name of NAMES) {
    try {
      const { version } = load(`${name}/package.json`) as { version: string }
      return { name, version, Fuse: load(name) as PackageClass }
    } catch (error) {
      failures.push(`${name} ${reason(error)}`)
    }
  }
  throw new MountError(
    'TRANSPORT_MISSING',
    `No package carries --transport fuse-native (${failures.join('; ')}): in coffer's folder, run ` +
      '`npm install --no-save fuse-napi` (Node 22 or newer, with the Debian packages fuse3 and libfuse3-3) or ' +
      '`npm install --no-save fuse-native`, or start without the option.',
  )
}

function reason(error: unknown): string {
  const code = errorCode(error)
  if (code === 'MODULE_NOT_FOUND') return 'is not installed'
  const [firstLine] = (error instanceof Error ? error.message : String(error)).split('\n')
  return `does not load: ${firstLine ?? ''}`
}
