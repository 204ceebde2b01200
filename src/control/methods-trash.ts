// Control methods of the trash.

import { z } from 'zod'

import { bytes, count, groupName, isoTime, nothing } from './schemas.ts'

const trash = z.object({
  files: count,
  bytes,
  oldestAt: isoTime.nullable().describe('when the oldest was freed; null when there is none'),
  keepSeconds: count.describe('freed block files are kept so long, unless room is needed'),
  keyRetirement: z
    .enum(['wait', 'empty-trash'])
    .describe('whether erasing old keys waits for the trash or empties it'),
  heldBecause: z.string().nullable().describe('why nothing is deleted from it now'),
})

const scope = {
  group: groupName.optional().describe('all groups without it'),
  dryRun: z.boolean().default(false).describe('say what would be done, and do nothing'),
}

const outcome = z.object({ files: count, bytes })

export const trashMethods = {
  'maintenance.trash': {
    summary: 'Freed block files that are kept for a time.',
    params: nothing,
    result: trash,
  },
  'maintenance.emptyTrash': {
    summary: 'Delete what the trash holds, for good.',
    params: z.strictObject(scope),
    result: outcome,
  },
  'maintenance.undoFree': {
    summary:
      'Bring freed block files back into the store. The next pass of the cleaner frees them again where nothing refers to them.',
    params: z.strictObject(scope),
    result: outcome,
  },
} as const

export type TrashInfo = z.output<typeof trash>
export type TrashOutcome = z.output<typeof outcome>
