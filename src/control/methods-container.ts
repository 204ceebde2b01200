// Control methods of containers.

import { z } from 'zod'

import { bytes, containerName, count, groupName, isoTime, nothing } from './schemas.ts'

export const container = z.object({
  name: containerName,
  group: groupName,
  createdAt: isoTime,
  files: count,
  currentBytes: bytes,
  id: count.describe("stays, whatever the container's name is"),
  uid: count,
  gid: count,
  mode: z
    .string()
    .regex(/^[0-7]{4}$/)
    .describe('permissions of its top directory, octal'),
})

export const containerMethods = {
  'container.show': {
    summary: 'One container, or all of them.',
    params: z.strictObject({ name: containerName.optional() }),
    result: z.object({ containers: z.array(container) }),
  },
  'container.add': {
    summary: "Create a container: a directory of the mount. Its group can't be changed later.",
    params: z.strictObject({ name: containerName, group: groupName.default('DefaultGroup') }),
    result: container,
  },
  'container.rename': {
    summary: 'Give a container another name. Files that are open in it stay open.',
    params: z.strictObject({ name: containerName, newName: containerName }),
    result: container,
  },
  'container.delete': {
    summary: 'Delete a container; one that has files only with deleteFiles.',
    params: z.strictObject({ name: containerName, deleteFiles: z.boolean().default(false) }),
    result: nothing,
  },
} as const
