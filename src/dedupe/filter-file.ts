// The chunk filter between two runs, so that a start needn't read the whole index. It is written when a daemon ends and taken
// away when the next one begins. Nothing depends on it: one that is missing, damaged, or of another state of the index is made
// again from the index.
//
//   0   8  magic "COFRFLTR"
//   8   4  version, 1                                       all numbers little-endian
//   12  4  number of layers
//   16  8  number of the last commit: of the index as it was then
//   24  8  names that have left the index since the filter was made
//   32  4  CRC-32 of bytes 0-31
//   36  …  layers:  0  4  blocks
//                   4  4  chunks in it
//                   8  4  CRC-32 of bytes 0-7 ‖ the blocks
//                   12 …  blocks of 64 bytes

import { open, rm, type FileHandle } from 'node:fs/promises'
import { endianness } from 'node:os'
import { crc32 } from 'node:zlib'
import { StoreError } from '../errors.ts'
import { BLOCK_BYTES, BLOCKS_MAX, BloomLayer } from './bloom-layer.ts'
import type { FilterState } from './chunk-filter.ts'

const MAGIC = 'COFRFLTR'
const VERSION = 1
const HEADER_BYTES = 36
const HEADER_CRC_AT = 32
const LAYER_HEADER_BYTES = 12
/** They double what there is: as many as it takes from 80 KiB to more than there will be. */
const LAYERS_MAX = 80
/** The kernel reads no more than 2 GiB at once. */
const READ_BYTES_MAX = 2 ** 30

/** Writes the filter of the index as it is after commit `sequence`, which nothing has changed since. */
export async function saveFilter(
  path: string,
  sequence: number,
  state: FilterState,
): Promise<void> {
  if (endianness() !== 'LE') return
  await rm(path, { force: true })
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(packHeader(sequence, state))
    for (const layer of state.layers) {
      const words = bytesOf(layer.words)
      const head = Buffer.alloc(LAYER_HEADER_BYTES)
      head.writeUInt32LE(layer.blockCount, 0)
      head.writeUInt32LE(layer.count, 4)
      head.writeUInt32LE(crc32(words, crc32(head.subarray(0, 8))), 8)
      await file.writeFile(head)
      await file.writeFile(words)
    }
  } catch (error) {
    await rm(path, { force: true })
    throw error
  } finally {
    await file.close()
  }
}

/**
 * @param sequence number of the last commit
 * @param bytesMax a filter of more is none
 * @returns undefined when there is no file
 * @throws StoreError RECORD_DAMAGED when it isn't one, is damaged, or of another commit: no failure, the filter is then made
 *   from the index
 */
export async function loadFilter(
  path: string,
  sequence: number,
  bytesMax: number,
): Promise<FilterState | undefined> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (file === undefined) return undefined
  try {
    const { size } = await file.stat()
    if (size > bytesMax + HEADER_BYTES + LAYERS_MAX * LAYER_HEADER_BYTES) {
      throw unusable(`it has ${size} bytes`)
    }
    const header = parseHeader(await readExactly(file, Buffer.alloc(HEADER_BYTES)))
    if (header.sequence !== sequence) {
      throw unusable(`it is of commit ${header.sequence}, the index of ${sequence}`)
    }
    const layers: BloomLayer[] = []
    for (let index = 0; index < header.layerCount; index++) {
      layers.push(await readLayer(file, bytesMax))
    }
    const { bytesRead } = await file.read(Buffer.alloc(1))
    if (bytesRead !== 0 || endianness() !== 'LE') throw unusable('it goes on')
    return { layers, removedCount: header.removedCount }
  } finally {
    await file.close()
  }
}

async function readLayer(file: FileHandle, bytesMax: number): Promise<BloomLayer> {
  const head = await readExactly(file, Buffer.alloc(LAYER_HEADER_BYTES))
  const blockCount = head.readUInt32LE(0)
  if (blockCount < 1 || blockCount > BLOCKS_MAX || blockCount * BLOCK_BYTES > bytesMax) {
    throw unusable(`a layer of it has ${blockCount} blocks`)
  }
  const words = new Uint32Array((blockCount * BLOCK_BYTES) / Uint32Array.BYTES_PER_ELEMENT)
  const bytes = await readExactly(file, bytesOf(words))
  if (head.readUInt32LE(8) !== crc32(bytes, crc32(head.subarray(0, 8)))) {
    throw unusable('a layer of it is damaged')
  }
  return new BloomLayer(blockCount, words, head.readUInt32LE(4))
}

function packHeader(sequence: number, { layers, removedCount }: FilterState): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.write(MAGIC, 'latin1')
  header.writeUInt32LE(VERSION, 8)
  header.writeUInt32LE(layers.length, 12)
  header.writeBigUInt64LE(BigInt(sequence), 16)
  header.writeBigUInt64LE(BigInt(removedCount), 24)
  header.writeUInt32LE(crc32(header.subarray(0, HEADER_CRC_AT)), HEADER_CRC_AT)
  return header
}

function parseHeader(header: Buffer): {
  layerCount: number
  sequence: number
  removedCount: number
} {
  if (header.toString('latin1', 0, 8) !== MAGIC) throw unusable('it is no filter')
  const version = header.readUInt32LE(8)
  if (version !== VERSION) throw unusable(`it has version ${version}`)
  if (header.readUInt32LE(HEADER_CRC_AT) !== crc32(header.subarray(0, HEADER_CRC_AT))) {
    throw unusable('its header is damaged')
  }
  const layerCount = header.readUInt32LE(12)
  if (layerCount < 1 || layerCount > LAYERS_MAX) {
    throw unusable(`it has ${layerCount} layers`)
  }
  const sequence = Number(header.readBigUInt64LE(16))
  return { layerCount, sequence, removedCount: Number(header.readBigUInt64LE(24)) }
}

async function readExactly(file: FileHandle, bytes: Buffer): Promise<Buffer> {
  for (let done = 0; done < bytes.length;) {
    const lengthBytes = Math.min(bytes.length - done, READ_BYTES_MAX)
    const { bytesRead } = await file.read(bytes, done, lengthBytes)
    if (bytesRead === 0) throw unusable('it ends too early')
    done += bytesRead
  }
  return bytes
}

function bytesOf(words: Uint32Array): Buffer {
  return Buffer.from(words.buffer, words.byteOffset, words.byteLength)
}

function unusable(what: string): StoreError {
  return new StoreError('RECORD_DAMAGED', `The file of the chunk filter is of no use: ${what}.`)
}
