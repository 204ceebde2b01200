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

const hold = z.object({
  isHeld: z.boolean(),
  since: isoTime.nullable().describe('null without a hold'),
})

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
  'maintenance.hold': {
    summary:
      'Begin or end a hold: no pass of the cleaner begins by itself, and nothing in the trash expires. Room that clients are about to lack is still made.',
    params: z.strictObject({
      set: z.enum(['on', 'off']).optional().describe('without it, nothing is changed'),
    }),
    result: hold,
  },
} as const

export type TrashInfo = z.output<typeof trash>
export type HoldInfo = z.output<typeof hold>
export type TrashOutcome = z.output<typeof outcome>
