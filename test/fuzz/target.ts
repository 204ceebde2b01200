// What a fuzz target is: bytes from outside, a decoder, and what the decoder may answer to them.

import { CofferError } from '../../src/errors.ts'

export interface FuzzTarget {
  readonly name: string
  /** valid inputs, made by the encoders: what mutations start from */
  readonly samples: readonly Uint8Array[]
  /** Feeds one input. Returns for what is accepted and for what is refused in order; whatever it throws is a finding. */
  run(input: Uint8Array): void | Promise<void>
}

/** @returns the decoded value, or undefined when it was refused as a refusal should look */
export function accepted<Value>(decode: () => Value): Value | undefined {
  try {
    return decode()
  } catch (error) {
    if (error instanceof CofferError) return undefined
    throw error
  }
}

/** As `accepted`. @returns whether it was accepted */
export async function isAccepted(load: () => unknown): Promise<boolean> {
  try {
    await load()
    return true
  } catch (error) {
    if (error instanceof CofferError) return false
    throw error
  }
}

/** What a decoder takes is what its encoder writes: nothing is rounded, dropped or guessed. */
export function sameBytes(input: Uint8Array, again: Uint8Array): void {
  if (Buffer.compare(input, again) === 0) return
  throw new Error(
    `accepted, but means ${Buffer.from(again).toString('hex').slice(0, 400)} instead of ` +
      Buffer.from(input).toString('hex').slice(0, 400),
  )
}
