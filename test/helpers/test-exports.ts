// The typed face of the second addon, native/test_exports.cc: the data path with what the shipped addon doesn't let out.
// Its cipher and instruction set are its own; those of the shipped addon stay the best ones.

import { createRequire } from 'node:module'
import { cutArguments } from '../../src/native/data-path.ts'
import type { CutParameters, CutResult, DataPathAddon } from '../../src/native/data-path.ts'

export type InstructionSet = 'scalar' | 'avx2' | 'avx512' | 'auto'
export type CipherName = 'openssl' | 'ipsec-mb' | 'auto'

interface TestExports extends DataPathAddon {
  setInstructionSet(name: InstructionSet): string
  setCipher(name: CipherName): string
  encrypt(key: Uint8Array, nonce: Uint8Array, associated: Uint8Array, data: Uint8Array): Uint8Array
  deriveBlockKey(contentKey: Uint8Array, salt: Uint8Array): Uint8Array
  forgeRegion(bytes: Uint8Array): void
  crc32cPortable(bytes: Uint8Array): number
}

const load = createRequire(import.meta.url)

/** All its functions. From dist/test/helpers/ to the top of the checkout. */
export const testExports = load(
  '../../../native/build/Release/coffer_test_exports.node',
) as TestExports

/** Returns what is in effect, since the processor may not have what was asked for. */
export function setInstructionSet(name: InstructionSet): string {
  return testExports.setInstructionSet(name)
}

/** Like setInstructionSet. */
export function setCipher(name: CipherName): string {
  return testExports.setCipher(name)
}

/** As that of src/native, with the instruction set in effect. */
export function cutAndFingerprint(
  data: Uint8Array,
  parameters: CutParameters,
  isEnd: boolean,
): Promise<CutResult> {
  return testExports.cutAndFingerprint(...cutArguments(data, parameters, isEnd))
}

/** AES-256-GCM with the cipher in effect: the ciphertext and then the tag. */
export function encrypt(
  key: Uint8Array,
  nonce: Uint8Array,
  associated: Uint8Array,
  data: Uint8Array,
): Uint8Array {
  return testExports.encrypt(key, nonce, associated, data)
}

/** The key of a block file, from the content encryption key and the salt in its header. */
export function deriveBlockKey(contentKey: Uint8Array, salt: Uint8Array): Uint8Array {
  return testExports.deriveBlockKey(contentKey, salt)
}

/** Makes tag and checksum of an edited clear region right again, as a forger could. */
export function forgeRegion(bytes: Uint8Array): void {
  testExports.forgeRegion(bytes)
}

/** The CRC-32C in the form that LevelDB stores, without the processor's instruction. */
export function maskedCrc32cPortable(bytes: Uint8Array): number {
  return testExports.crc32cPortable(bytes)
}
