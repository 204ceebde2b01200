// All groups of workloads, in the order in which they are measured.

import type { Group } from '../groups.ts'
import { basic, basicWithCryfs } from './basic.ts'
import { bigIndex } from './big-index.ts'
import { durability } from './durability.ts'
import { generations } from './generations.ts'
import { growth } from './growth.ts'
import { image } from './image.ts'
import { streams } from './streams.ts'
import { tree } from './tree.ts'

export const GROUPS: readonly Group[] = [
  basic,
  basicWithCryfs,
  image,
  streams,
  tree,
  durability,
  generations,
  growth,
  bigIndex,
]
