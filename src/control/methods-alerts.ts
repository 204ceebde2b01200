// Control methods of alerts.

import { z } from 'zod'

import { isoTime, nothing } from './schemas.ts'

export const alert = z.object({
  code: z.string(),
  severity: z.enum(['info', 'warning', 'critical']),
  text: z.string(),
  since: isoTime,
})

export const alertMethods = {
  'alerts.show': {
    summary: 'What needs attention now.',
    params: nothing,
    result: z.object({ alerts: z.array(alert) }),
  },
} as const
