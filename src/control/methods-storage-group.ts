// Control methods of storage groups.

import { z } from 'zod'

import { bytes, count, groupName } from './schemas.ts'

/** Chunk sizes outside of this range either drown the index or find no duplicates. */
const CHUNK_SIZE_MIN_BYTES = 4 * 1024
const CHUNK_SIZE_MAX_BYTES = 1024 * 1024

export const compression = z.enum(['none', 'fast', 'best'])

export const group = z.object({
  name: groupName,
  compression,
  chunkSizeBytes: bytes,
  containers: count,
  isEncrypted: z.boolean(),
  isLocked: z.boolean(),
})

export const storageGroupMethods = {
  'storageGroup.show': {
    summary: 'One storage group, or all of them.',
    params: z.strictObject({ name: groupName.optional() }),
    result: z.object({ groups: z.array(group) }),
  },
  'storageGroup.add': {
    summary: 'Create a storage group: a dedupe domain with its own settings.',
    params: z.strictObject({
      name: groupName,
      compression: compression.default('fast'),
      chunkSizeBytes: z.int().min(CHUNK_SIZE_MIN_BYTES).max(CHUNK_SIZE_MAX_BYTES).optional(),
    }),
    result: group,
  },
} as const
