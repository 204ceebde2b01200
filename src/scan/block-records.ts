// The records of block files: within their limits, and against the files themselves.

import { stat } from 'node:fs/promises'
import {
  BLOCK_CHUNKS_MAX,
  BLOCK_FILE_BYTES_MAX,
  BLOCK_PAGE_BYTES,
  REGION_RAW_BYTES_MAX,
} from '../blocks/index.ts'
import type { BlockRecord } from '../blocks/index.ts'
import type { MetadataSnapshot } from '../metadata/index.ts'
import { TABLE } from '../metadata/index.ts'
import type { ScanParts } from './contract.ts'
import { parsed, rows } from './scan-context.ts'
import type { BlockPlace, ScanContext } from './scan-context.ts'

type BlockContext = Pick<
  ScanContext,
  'parts' | 'snapshot' | 'group' | 'suspects' | 'found' | 'step'
>

/** @returns what others may refer to: block files whose records can be read */
export async function checkBlockRecords(context: BlockContext): Promise<Map<number, BlockPlace>> {
  const { parts, found } = context
  const places = new Map<number, BlockPlace>()
  for await (const row of rows(context, Buffer.of(TABLE.block))) {
    const record = parsed(context, row, () => parts.parseBlockRecord(row.key, row.value))
    if (record === undefined) continue
    const { block, group, lengthBytes } = record
    places.set(block, { group, lengthBytes })
    if (isOutOfLimits(record)) {
      found(
        'block-record',
        `The record of block file ${block} says what no block file can have.`,
        undefined,
      )
    }
    // What is in the trash is no part of the store, and an empty block file may not have been made.
    if (record.freedSeconds !== null) {
      places.delete(block)
      continue
    }
    if (record.regionCount === 0) continue
    if (context.group !== undefined && context.group !== group) continue
    await checkFile(context, record)
  }
  return places
}

function isOutOfLimits(record: BlockRecord): boolean {
  const { lengthBytes, regionCount, chunkCount, rawBytes, compressedBytes } = record
  return (
    lengthBytes % BLOCK_PAGE_BYTES !== 0 ||
    lengthBytes > BLOCK_FILE_BYTES_MAX ||
    chunkCount > BLOCK_CHUNKS_MAX ||
    regionCount > chunkCount ||
    rawBytes > regionCount * REGION_RAW_BYTES_MAX ||
    compressedBytes > rawBytes
  )
}

/** The snapshot may know block files that the cleaner has deleted since: they are no findings. */
async function checkFile(
  { parts, found, suspects }: BlockContext,
  record: BlockRecord,
): Promise<void> {
  const { block, group, keyId, lengthBytes } = record
  const { blocks, groups } = parts
  const path = blocks.pathOf(block)
  if (path === undefined) return
  const problem = await problemOf(parts, path, record)
  if (!blocks.hasBlock(block)) return
  if (problem !== undefined) {
    const subject = { block, reason: problem.what }
    found(problem.check, `Block file ${block} ${problem.what}.`, subject)
    suspects.blame(record, problem.what, problem.isGone)
  }
  if (keyId !== 0 && groups.exists(group) && groups.isKeyKnown(group, keyId) === false) {
    const text = `Block file ${block} (${lengthBytes} bytes) needs key ${keyId} of storage group ${groups.nameOf(group)}, which is not there.`
    if (blocks.hasBlock(block)) found('block-key', text, undefined)
  }
}

async function problemOf(
  { blocks }: ScanParts,
  path: string,
  { block, group, keyId, lengthBytes }: BlockRecord,
): Promise<{ check: 'block-file' | 'block-header'; what: string; isGone: boolean } | undefined> {
  try {
    const { size } = await stat(path)
    if (size < lengthBytes) {
      return {
        check: 'block-file',
        what: `has ${size} bytes instead of ${lengthBytes}`,
        isGone: false,
      }
    }
    const header = await blocks.header(path)
    if (header === undefined) return { check: 'block-header', what: 'has no header', isGone: true }
    if (header.block === block && header.group === group && header.keyId === keyId) return undefined
    const names = `block file ${header.block}, storage group ${header.group}, key ${header.keyId}`
    return { check: 'block-header', what: `has the header of ${names}`, isGone: true }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    const isGone = code === 'ENOENT'
    return { check: 'block-file', what: isGone ? 'is missing' : `gives ${code}`, isGone }
  }
}

/** The greatest id of a block file in a snapshot; 0 without any. */
export function greatestBlock(places: ReadonlyMap<number, BlockPlace>): number {
  let greatest = 0
  for (const block of places.keys()) greatest = Math.max(greatest, block)
  return greatest
}

/** The next id that a counter record gives out, from its first byte after the version; undefined when there is none. */
export function nextBlockOf(snapshot: MetadataSnapshot): number | undefined {
  const record = snapshot.get(Buffer.concat([Buffer.of(TABLE.superblock), Buffer.from('block')]))
  return record === undefined ? undefined : Buffer.from(record).readUInt32LE(1)
}
