// Control methods of diagnostics bundles.

import { z } from 'zod'

const bundleName = z
  .string()
  .regex(/^coffer-[0-9A-Za-z-]{1,60}\.tar\.gz$/, 'is not the name of a diagnostics bundle')

const bundle = z.object({ name: bundleName, path: z.string(), sizeBytes: z.int().nonnegative() })

export const diagnosticsMethods = {
  'diagnostics.collect': {
    summary: 'Make a bundle of logs, settings, statistics and versions. It never holds keys.',
    params: z.strictObject({
      includeNames: z.boolean().default(false).describe('with the names of containers and files'),
    }),
    result: bundle,
  },
  'diagnostics.show': {
    summary: 'The bundles that exist.',
    params: z.strictObject({}),
    result: z.object({ bundles: z.array(bundle) }),
  },
  'diagnostics.delete': {
    summary: 'Delete a bundle.',
    params: z.strictObject({ name: bundleName }),
    result: z.strictObject({}),
  },
} as const

export type DiagnosticsBundle = z.output<typeof bundle>
