// The fields that methods of several families have in common.

import { z } from 'zod'

/** Long enough for "host.share.year", short enough for a directory listing; a path component in any case. */
const CONTAINER_NAME_MAX = 64
const GROUP_NAME_MAX = 32

export const containerName = z
  .string()
  .regex(
    new RegExp(`^[A-Za-z0-9_.-]{1,${CONTAINER_NAME_MAX}}$`),
    `a container's name has 1 to ${CONTAINER_NAME_MAX} characters out of A-Z a-z 0-9 _ . -`,
  )
  .refine(name => name !== '.' && name !== '..', '"." and ".." are no names')

export const groupName = z
  .string()
  .regex(
    new RegExp(`^[A-Za-z0-9_-]{1,${GROUP_NAME_MAX}}$`),
    `a storage group's name has 1 to ${GROUP_NAME_MAX} characters out of A-Z a-z 0-9 _ -`,
  )

export const bytes = z.int().nonnegative()
export const count = z.int().nonnegative()
export const percent = z.number().min(0).max(100).describe('two decimals')
export const isoTime = z.iso.datetime()

/** No parameters, or nothing to say. */
export const nothing = z.strictObject({})
