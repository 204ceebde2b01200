// Records whose payload is JSON: a version byte, then the text. What is read has to fit a schema, or is refused.

import type { z } from 'zod'
import { StoreError } from '../errors.ts'

export function packJson(version: number, value: unknown): Buffer {
  return Buffer.concat([Buffer.of(version), Buffer.from(JSON.stringify(value))])
}

/**
 * @param what names the record in errors
 * @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED
 */
export function parseJson<Schema extends z.ZodType>(
  schema: Schema,
  record: Uint8Array,
  version: number,
  what: string,
): z.output<Schema> {
  if (record[0] !== version) {
    throw new StoreError('UNKNOWN_VERSION', `The ${what} has version ${record[0]}, not ${version}.`)
  }
  const result = schema.safeParse(jsonOf(Buffer.from(record.subarray(1)).toString()))
  if (result.success) return result.data
  throw new StoreError('RECORD_DAMAGED', `The ${what} makes no sense.`, { cause: result.error })
}

/** undefined for what is no JSON: no schema accepts it. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
