// Control methods of storage groups.

import { z } from 'zod'

import { bytes, count, groupName, isoTime, nothing } from './schemas.ts'

/** Chunk sizes outside of this range either drown the index or find no duplicates. */
const CHUNK_SIZE_MIN_BYTES = 4 * 1024
const CHUNK_SIZE_MAX_BYTES = 1024 * 1024
/** Far beyond any passphrase; the domain's own limit counts bytes and says so. */
const PASSPHRASE_CHARACTERS_MAX = 4096
const KEY_ID_MAX = 1023

export const compression = z.enum(['none', 'fast', 'best'])
const mode = z.enum(['internal', 'static'])
const passphrase = z.string().max(PASSPHRASE_CHARACTERS_MAX)

export const group = z.object({
  name: groupName,
  compression,
  chunkSizeBytes: bytes,
  quotaBytes: bytes.nullable().describe('of block files; null = no limit'),
  containers: count,
  isEncrypted: z.boolean(),
  isLocked: z.boolean(),
  hasPassphrase: z.boolean(),
  mode: mode.nullable().describe('null while encryption is off'),
  intervalDays: z.int().positive().nullable().describe('of internal mode'),
  encryptedPercent: z.number().describe('of the block files; the cleaner encrypts the rest'),
})

const key = z.object({
  id: z.int().min(1).max(KEY_ID_MAX),
  state: z.enum(['active', 'decrypt-only', 'retired']),
  createdAt: isoTime,
  retiredAt: isoTime.nullable(),
  bytes: bytes.describe('of block files that are sealed with it'),
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
      quotaBytes: bytes.nullable().default(null),
    }),
    result: group,
  },
  'storageGroup.update': {
    summary: 'Change compression or quota. Compression applies to what is written from now on.',
    params: z.strictObject({
      name: groupName,
      compression: compression.optional(),
      quotaBytes: bytes.nullable().optional(),
    }),
    result: group,
  },
  'storageGroup.delete': {
    summary: 'Delete a storage group that has no containers.',
    params: z.strictObject({ name: groupName }),
    result: nothing,
  },
  'storageGroup.setPassphrase': {
    summary: 'Set the passphrase, or change it: wraps the keys anew and touches no data.',
    params: z.strictObject({
      name: groupName,
      current: passphrase.optional().describe('needed when there is one'),
      next: passphrase,
    }),
    result: nothing,
  },
  'storageGroup.encryption': {
    summary: 'Turn encryption on (for good), change its mode or interval. Without settings: show.',
    params: z.strictObject({
      name: groupName,
      set: z.enum(['on', 'off']).optional(),
      mode: mode.optional(),
      intervalDays: z.int().optional(),
    }),
    result: group,
  },
  'storageGroup.unlock': {
    summary: 'Open the keys of a group; a start locks encrypted groups.',
    params: z.strictObject({ name: groupName, passphrase }),
    result: group,
  },
  'storageGroup.lock': {
    summary: 'Write what is on its way, and wipe the keys of a group from memory.',
    params: z.strictObject({ name: groupName }),
    result: group,
  },
  'storageGroup.keys': {
    summary: 'The content encryption keys of a group and what they seal.',
    params: z.strictObject({ name: groupName }),
    result: z.object({
      name: groupName,
      keys: z.array(key),
      clearBytes: bytes.describe('of block files that nothing seals'),
      pendingBytes: bytes.describe('of block files that the cleaner is to encrypt'),
    }),
  },
  'storageGroup.rotateKey': {
    summary: 'A new content encryption key now; the earlier ones stay for reading.',
    params: z.strictObject({ name: groupName }),
    result: group,
  },
} as const
