// Targets: small files of the store, and block files. Where a checksum comes before the fields, each input is tried twice:
// as it is, and with the checksum made right, as somebody could who writes to the disk.

import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { BLOCK_PAGE_BYTES } from '../../src/blocks/block-store.ts'
import { openKeystore, packKeystore, parseKeystore } from '../../src/crypto/keystore-format.ts'
import { packSlot, parseNote, SLOT_BYTES } from '../../src/daemon/commit-note.ts'
import { BloomLayer } from '../../src/dedupe/bloom-layer.ts'
import { ChunkFilter } from '../../src/dedupe/chunk-filter.ts'
import { loadFilter, saveFilter } from '../../src/dedupe/filter-file.ts'
import { scanBlockFile } from '../../src/blocks/scan.ts'
import {
  ALGORITHM,
  allocateArena,
  appendRegions,
  closeBlockFile,
  createBlockFile,
  openBlockFile,
  parseBlockHeader,
  parseRegionHeader,
  readRegion,
} from '../../src/native/data-path.ts'
import { forgeRegion } from '../helpers/test-exports.ts'
import { readFileSync } from 'node:fs'
import { CHUNK_KEY_BYTES } from '../../src/native/data-path.ts'
import { secretOf } from '../helpers/secrets.ts'
import { accepted, isAccepted, type FuzzTarget } from './target.ts'

const WRAPPING_KEY = secretOf(3)
const SHA256_BYTES = 32
const REGION_SLOT_BYTES = 1024 * 36 + 512 * 1024
const IDENTITY = { group: 1, block: 7, keyId: 0 }
const CHUNK_COUNT = 3
const CHUNK_BYTES = 700

// ---- keystores

const keyring = {
  isOn: true,
  mode: 'internal' as const,
  intervalDays: 30,
  epoch: 2,
  chunkKey: secretOf(0xa5, CHUNK_KEY_BYTES),
  keys: [
    {
      id: 1,
      state: 'retired' as const,
      epoch: 0,
      createdSeconds: 1,
      retiredSeconds: 5,
      secret: undefined,
    },
    {
      id: 2,
      state: 'active' as const,
      epoch: 2,
      createdSeconds: 4,
      retiredSeconds: 0,
      secret: secretOf(0x5a),
    },
  ],
}

const keystoreIdentity = {
  store: '000102030405060708090a0b0c0d0e0f',
  sinceSeconds: 0,
  predecessors: ['ab'.repeat(32)],
  group: 7,
  sequence: 3,
  scrypt: { logCost: 4, blockSize: 8, parallelism: 1 },
  salt: new Uint8Array(32).fill(1),
}

function readKeystore(bytes: Uint8Array): void {
  const head = accepted(() => parseKeystore(bytes))
  if (head !== undefined) openKeystore(head, WRAPPING_KEY)
}

const keystore: FuzzTarget = {
  name: 'keystore',
  samples: [
    packKeystore(keystoreIdentity, keyring, WRAPPING_KEY),
    packKeystore(keystoreIdentity, { ...keyring, isOn: false, keys: [] }, WRAPPING_KEY),
  ],
  run(input) {
    readKeystore(input)
    if (input.length < SHA256_BYTES) return
    const forged = Buffer.from(input)
    const body = forged.subarray(0, -SHA256_BYTES)
    // Its own length is one more thing that a forger gets right.
    if (body.length >= 16) body.writeUInt32LE(forged.length, 12)
    forged.set(createHash('sha256').update(body).digest(), body.length)
    readKeystore(forged)
  },
}

// ---- the commit note

const note: FuzzTarget = {
  name: 'commit-note',
  samples: [
    Buffer.concat([packSlot(8), packSlot(7)]),
    Buffer.concat([packSlot(2 ** 40), Buffer.alloc(SLOT_BYTES)]),
  ],
  run(input) {
    const found = accepted(() => parseNote(input))
    if (found !== undefined && !Number.isSafeInteger(found)) throw new Error(`a note of ${found}`)
    const forged = Buffer.from(input)
    for (let at = 0; at + 24 <= forged.length; at += SLOT_BYTES) {
      forged.writeUInt32LE(crc32(forged.subarray(at + 16, at + 24)), at + 12)
    }
    const believed = accepted(() => parseNote(forged))
    if (believed !== undefined && !Number.isSafeInteger(believed)) throw new Error('no number')
  },
}

// ---- the chunk filter's file

const FILTER_BYTES_MAX = 256 * 1024
const FILTER_COMMIT = 9

async function keptFilter(): Promise<Buffer> {
  const layers = [BloomLayer.for(100), BloomLayer.for(1)]
  const kept = new ChunkFilter(FILTER_BYTES_MAX, { layers, removedCount: 3 })
  for (let number = 0; number < 30; number++) {
    kept.add(
      createHash('sha256').update(String(number)).digest().toString('latin1').padStart(35, 'c'),
    )
  }
  const { state } = kept
  if (state === undefined) throw new Error('the filter gave up')
  return inTemporaryFile(Buffer.alloc(0), async path => {
    await saveFilter(path, FILTER_COMMIT, state)
    return readFileSync(path)
  })
}

async function inTemporaryFile<Result>(
  bytes: Uint8Array,
  use: (path: string) => Promise<Result>,
): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), 'coffer-fuzz-'))
  try {
    const path = join(directory, 'file')
    writeFileSync(path, bytes)
    return await use(path)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** With checksums that are right, as far as there is something for them to be of. */
function forgedFilter(input: Uint8Array): Buffer {
  const forged = Buffer.from(input)
  if (forged.length < 36) return forged
  forged.writeUInt32LE(crc32(forged.subarray(0, 32)), 32)
  for (let at = 36; at + 12 <= forged.length;) {
    const end = at + 12 + forged.readUInt32LE(at) * 64
    if (end > forged.length) break
    const sum = crc32(forged.subarray(at + 12, end), crc32(forged.subarray(at, at + 8)))
    forged.writeUInt32LE(sum, at + 8)
    at = end
  }
  return forged
}

const chunkFilter: FuzzTarget = {
  name: 'chunk-filter',
  samples: [await keptFilter()],
  async run(input) {
    for (const bytes of [input, forgedFilter(input)]) {
      await inTemporaryFile(bytes, async path => {
        await isAccepted(async () => {
          const state = await loadFilter(path, FILTER_COMMIT, FILTER_BYTES_MAX)
          if (state === undefined) throw new Error('the file was there')
          const filter = new ChunkFilter(FILTER_BYTES_MAX, state)
          const name = 'c'.repeat(35)
          filter.add(name)
          if (!filter.mayHave(name)) throw new Error('it forgot what it was told')
        })
      })
    }
  },
}

// ---- block files

/** A block file as the addon writes it: header page, and one region a compression. */
async function makeBlockFile(): Promise<Buffer> {
  const directory = mkdtempSync(join(tmpdir(), 'coffer-fuzz-'))
  try {
    const path = join(directory, 'sample.blk')
    const handle = await createBlockFile(path, IDENTITY, 1_700_000_000)
    for (const algorithm of [ALGORITHM.none, ALGORITHM.fast, ALGORITHM.best]) {
      const datas = Array.from({ length: CHUNK_COUNT }, (_, index) =>
        Buffer.alloc(CHUNK_BYTES, `chunk ${index} of ${algorithm}, `),
      )
      const fingerprints = Buffer.concat(
        datas.map(data => createHash('sha256').update(data).digest()),
      )
      const counts = Uint32Array.of(CHUNK_COUNT)
      const batch = { sequence: 5, algorithm, verify: true, datas, fingerprints, counts }
      await appendRegions(handle, batch)
    }
    closeBlockFile(handle)
    return readFileSync(path)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const sample = await makeBlockFile()
const headerPage = sample.subarray(0, BLOCK_PAGE_BYTES)
const regions = [1, 2, 3].map(page =>
  sample.subarray(page * BLOCK_PAGE_BYTES, (page + 1) * BLOCK_PAGE_BYTES),
)
const scratch = join(mkdtempSync(join(tmpdir(), 'coffer-fuzz-')), 'scratch.blk')
process.once('exit', () => rmSync(join(scratch, '..'), { recursive: true, force: true }))
const out = new Uint8Array(allocateArena(REGION_SLOT_BYTES))

const blockHeader: FuzzTarget = {
  name: 'block-header',
  samples: [headerPage],
  run(input) {
    parseBlockHeader(input)
  },
}

const regionHeader: FuzzTarget = {
  name: 'region-header',
  samples: regions.map(region => region.subarray(0, 128)),
  run(input) {
    parseRegionHeader(input)
    const forged = Buffer.from(input)
    forgeRegion(forged)
    const header = parseRegionHeader(forged)
    if (header === null) return
    if (header.rawBytes > 512 * 1024 || header.storedBytes > header.rawBytes) {
      throw new Error('a header beyond the limits')
    }
  },
}

/** Whether an error says what is wrong with the region, or with the file. */
function isDamage(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^DAMAGE_[a-z]+$/.test(String(error.code))
}

async function readWhole(region: Uint8Array): Promise<void> {
  writeFileSync(scratch, Buffer.concat([headerPage, region]))
  for await (const header of scanBlockFile(scratch)) {
    if (header.page * BLOCK_PAGE_BYTES > BLOCK_PAGE_BYTES + region.length) {
      throw new Error('a region beyond the file')
    }
  }
  const handle = await openBlockFile(scratch, IDENTITY)
  try {
    await readRegion(handle, 1, BLOCK_PAGE_BYTES, out)
  } catch (error) {
    if (!isDamage(error)) throw error
  } finally {
    closeBlockFile(handle)
  }
}

/** What follows the header page, read as the region of page 1. */
const region: FuzzTarget = {
  name: 'region',
  samples: regions.map(bytes => {
    const moved = Buffer.from(bytes)
    moved.writeUInt32LE(1, 20)
    forgeRegion(moved)
    return moved
  }),
  async run(input) {
    await readWhole(input)
    const forged = Buffer.from(input)
    forgeRegion(forged)
    await readWhole(forged)
  },
}

const blockFile: FuzzTarget = {
  name: 'block-file',
  samples: [headerPage],
  async run(input) {
    writeFileSync(scratch, input)
    try {
      closeBlockFile(await openBlockFile(scratch, IDENTITY))
    } catch (error) {
      if (!isDamage(error)) throw error
    }
  },
}

export const fileTargets: readonly FuzzTarget[] = [
  keystore,
  note,
  chunkFilter,
  blockHeader,
  regionHeader,
  region,
  blockFile,
]
