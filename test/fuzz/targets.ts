// All targets.

import { fileTargets } from './file-targets.ts'
import { fuseTargets } from './fuse-targets.ts'
import { namespaceTargets } from './namespace-targets.ts'
import { recordTargets } from './record-targets.ts'
import type { FuzzTarget } from './target.ts'
import { wireTargets } from './wire-targets.ts'

export const targets: readonly FuzzTarget[] = [
  ...recordTargets,
  ...namespaceTargets,
  ...fileTargets,
  ...wireTargets,
  ...fuseTargets,
]
