// The number of the last commit, noted outside LevelDB: LevelDB skips damaged log records silently (promise 12), and a
// start that takes an older state for the newest would clear away, as leftovers, what the lost commits refer to.
//
// The file has two slots of 4,096 bytes, written in turn, so that a torn write leaves the other:
//
//   0   8  magic "COFRNOTE"
//   8   4  version, 1              little-endian
//   12  4  CRC-32 of bytes 16-23   little-endian
//   16  8  number of a commit      little-endian
//
// It is written after each commit and synced now and then: it never says more than is durable, and after a power cut
// perhaps less.

import { open, type FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { StoreError } from '../errors.ts'
import { durably, durablySync, durablyWrite } from '../fault-points.ts'
import { bufferOf } from '../buffer-of.ts'

const MAGIC = 'COFRNOTE'
const VERSION = 1
export const SLOT_BYTES = 4096
const SLOT_COUNT = 2
const NUMBER_AT = 16
const END = 24

export class CommitNote {
  /** the greatest number found at the start; undefined when there was none to be found */
  readonly found: number | undefined
  readonly #file: FileHandle

  constructor(file: FileHandle, found: number | undefined) {
    this.#file = file
    this.found = found
  }

  async write(sequence: number): Promise<void> {
    const slot = packSlot(sequence)
    const at = (sequence % SLOT_COUNT) * SLOT_BYTES
    const { bytesWritten } = await durablyWrite('note.write', slot, bytes =>
      this.#file.write(bytes, 0, bytes.length, at),
    )
    if (bytesWritten !== slot.length) throw new Error('the commit note was written in part')
  }

  async sync(): Promise<void> {
    await durablySync('note.sync', () => this.#file.datasync())
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}

/** Opens the note, or makes it with its full size, so that writing it never needs room. @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED */
export async function openCommitNote(path: string): Promise<CommitNote> {
  const existing = await open(path, 'r+').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  const file = existing ?? (await open(path, 'wx+', 0o600))
  try {
    const bytes = Buffer.alloc(SLOT_BYTES * SLOT_COUNT)
    if (existing === undefined) {
      await durably('note.create', async () => {
        await file.write(bytes, 0, bytes.length, 0)
        await file.sync()
      })
      return new CommitNote(file, undefined)
    }
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
    return new CommitNote(file, parseNote(bytes.subarray(0, bytesRead)))
  } catch (error) {
    await file.close()
    throw error
  }
}

/** The greatest number of the slots that are whole; undefined when none is. @throws StoreError UNKNOWN_VERSION, RECORD_DAMAGED */
export function parseNote(note: Uint8Array): number | undefined {
  const bytes = bufferOf(note)
  let found: number | undefined
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const number = parseSlot(bytes.subarray(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES))
    if (number !== undefined) found = Math.max(found ?? 0, number)
  }
  return found
}

export function packSlot(sequence: number): Buffer {
  const slot = Buffer.alloc(SLOT_BYTES)
  slot.write(MAGIC, 0, 'latin1')
  slot.writeUInt32LE(VERSION, 8)
  slot.writeBigUInt64LE(BigInt(sequence), NUMBER_AT)
  slot.writeUInt32LE(crc32(slot.subarray(NUMBER_AT, END)), 12)
  return slot
}

/** undefined: never written, or torn */
function parseSlot(slot: Buffer): number | undefined {
  if (slot.length < END || slot.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined
  const version = slot.readUInt32LE(8)
  if (slot.readUInt32LE(12) !== crc32(slot.subarray(NUMBER_AT, END))) return undefined
  if (version !== VERSION) {
    throw new StoreError('UNKNOWN_VERSION', `The commit note has the unknown version ${version}.`)
  }
  const number = Number(slot.readBigUInt64LE(NUMBER_AT))
  if (Number.isSafeInteger(number)) return number
  throw new StoreError('RECORD_DAMAGED', 'The commit note holds a number that no commit has.')
}
