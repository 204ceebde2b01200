// Control methods of the daemon itself.

import { z } from 'zod'

import { alertList } from './methods-alerts.ts'
import { count, groupName, isoTime, nothing } from './schemas.ts'

const status = z.object({
  version: z.string(),
  pid: z.int().positive(),
  store: z.string(),
  mount: z.string(),
  transport: z
    .string()
    .describe("what carries the mount's requests: device, or a package and its version"),
  socket: z.string(),
  startedAt: isoTime,
  uptimeSeconds: z.number().nonnegative(),
  groups: count,
  containers: count,
  lockedGroups: z.array(groupName),
  isReadOnly: z.boolean(),
  readOnlyReason: z.string().nullable(),
  ...alertList.shape,
})

export const systemMethods = {
  'system.status': {
    summary: 'What runs, since when, and what is wrong.',
    params: nothing,
    result: status,
  },
  'daemon.stop': {
    summary: 'Unmount, commit and end. Answered when the mount is gone, before the daemon ends.',
    params: z.strictObject({
      force: z.boolean().default(false).describe('do not wait for files that are open'),
    }),
    result: nothing,
  },
} as const
