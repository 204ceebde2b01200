// Tables with right checksums and wrong handles. LevelDB allocates what a handle says, so each would end the process: goal is
// that none reaches it. Method: a sound table's index and metaindex are replaced, and the manifest's size of it as well.

import { spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import t, { type Test } from 'tap'
import { verifyDatabase } from '../../src/metadata/index.ts'
import { maskedCrc32c } from '../../src/native/leveldb.ts'
import { keyOf, makeDatabase, named, scratch } from '../helpers/small-database.ts'

const FOOTER_BYTES = 48
const TRAILER_BYTES = 5
const LOG_HEADER_BYTES = 7
const HUGE = 2n ** 50n
const FILTER = 'filter.leveldb.BuiltinBloomFilter2'

interface Handle {
  readonly offset: bigint
  readonly size: bigint
}

interface Entry {
  readonly key: Buffer
  readonly handle: Handle
}

/** What lies behind the filter of a table. */
interface Tail {
  readonly index: Entry[]
  readonly metaindex: Entry[]
  /** changes a block's contents before its checksum is made */
  finish?: (block: 'index' | 'metaindex', contents: Buffer) => void
}

function varint(value: bigint): Buffer {
  const bytes: number[] = []
  let left = value
  for (; left > 127n; left >>= 7n) bytes.push(Number(left & 127n) | 128)
  return Buffer.from([...bytes, Number(left)])
}

/** @returns the value, and where the next one begins */
function varintAt(bytes: Buffer, start: number): [value: bigint, end: number] {
  let value = 0n
  for (let at = start; ; at++) {
    const byte = bytes.readUInt8(at)
    value |= BigInt(byte & 127) << BigInt(7 * (at - start))
    if (byte < 128) return [value, at + 1]
  }
}

function handleAt(bytes: Buffer, start: number): [handle: Handle, end: number] {
  const [offset, middle] = varintAt(bytes, start)
  const [size, end] = varintAt(bytes, middle)
  return [{ offset, size }, end]
}

const packHandle = ({ offset, size }: Handle): Buffer =>
  Buffer.concat([varint(offset), varint(size)])

/** Entries of an index or metaindex, whose keys share nothing. */
function entriesOf(bytes: Buffer, { offset, size }: Handle): Entry[] {
  const contents = bytes.subarray(Number(offset), Number(offset + size))
  const end = contents.length - 4 - 4 * contents.readUInt32LE(contents.length - 4)
  const entries: Entry[] = []
  for (let at = 0; at < end;) {
    const [, keyLengthAt] = varintAt(contents, at)
    const [keyBytes, valueLengthAt] = varintAt(contents, keyLengthAt)
    const [valueBytes, keyAt] = varintAt(contents, valueLengthAt)
    const valueAt = keyAt + Number(keyBytes)
    entries.push({ key: contents.subarray(keyAt, valueAt), handle: handleAt(contents, valueAt)[0] })
    at = valueAt + Number(valueBytes)
  }
  return entries
}

function packBlock(entries: readonly Entry[], finish: (contents: Buffer) => void): Buffer {
  const parts: Buffer[] = []
  const restarts: number[] = []
  let at = 0
  for (const { key, handle } of entries) {
    const value = packHandle(handle)
    const header = [0n, BigInt(key.length), BigInt(value.length)].map(varint)
    const entry = Buffer.concat([...header, key, value])
    restarts.push(at)
    at += entry.length
    parts.push(entry)
  }
  const words = Buffer.alloc(4 * (restarts.length + 1))
  for (const [place, value] of [...restarts, restarts.length].entries()) {
    words.writeUInt32LE(value, 4 * place)
  }
  const contents = Buffer.concat([...parts, words])
  finish(contents)
  const covered = Buffer.concat([contents, Buffer.alloc(1)])
  const checksum = Buffer.alloc(4)
  checksum.writeUInt32LE(maskedCrc32c(covered))
  return Buffer.concat([covered, checksum])
}

function forged(bytes: Buffer, edit: (tail: Tail) => Tail): Buffer {
  const footer = bytes.subarray(-FOOTER_BYTES)
  const [metaindex, indexAt] = handleAt(footer, 0)
  const [index] = handleAt(footer, indexAt)
  const sound = { index: entriesOf(bytes, index), metaindex: entriesOf(bytes, metaindex) }
  const { finish, ...tail } = edit(sound)
  const meta = packBlock(tail.metaindex, contents => finish?.('metaindex', contents))
  const main = packBlock(tail.index, contents => finish?.('index', contents))
  const sizeOf = (block: Buffer): bigint => BigInt(block.length - TRAILER_BYTES)
  const newFooter = Buffer.alloc(FOOTER_BYTES)
  Buffer.concat([
    packHandle({ offset: metaindex.offset, size: sizeOf(meta) }),
    packHandle({ offset: metaindex.offset + BigInt(meta.length), size: sizeOf(main) }),
  ]).copy(newFooter)
  footer.copy(newFooter, 40, 40)
  return Buffer.concat([bytes.subarray(0, Number(metaindex.offset)), meta, main, newFooter])
}

/** Lets the manifest, whose records are short here, have another size of a table. */
function resize(manifest: Buffer, table: bigint, from: bigint, to: bigint): void {
  const before = Buffer.concat([varint(table), varint(from)])
  const after = Buffer.concat([varint(table), varint(to)])
  for (let at = 0; at + LOG_HEADER_BYTES <= manifest.length;) {
    const end = at + LOG_HEADER_BYTES + manifest.readUInt16LE(at + 4)
    const found = manifest.subarray(at, end).indexOf(before)
    if (found !== -1 && before.length === after.length) {
      after.copy(manifest, at + found)
      manifest.writeUInt32LE(maskedCrc32c(manifest.subarray(at + 6, end)), at)
      return
    }
    at = end
  }
  throw new Error('the manifest does not name the table')
}

async function databaseWith(test: Test, edit: (tail: Tail) => Tail): Promise<string> {
  const directory = await scratch(test)
  await makeDatabase(directory)
  const path = await named(directory, /ldb$/)
  const bytes = await readFile(path)
  const edited = forged(bytes, edit)
  await writeFile(path, edited)
  const manifest = await named(directory, /^MANIFEST/)
  const records = await readFile(manifest)
  const table = BigInt(Number.parseInt(basename(path), 10))
  resize(records, table, BigInt(bytes.length), BigInt(edited.length))
  await writeFile(manifest, records)
  return directory
}

/** Opens and reads the database in a process of its own, which LevelDB may end. */
function openApart(directory: string): string {
  const module = new URL('../../src/metadata/database.js', import.meta.url).href
  const script = `
    const { openDatabase } = await import(${JSON.stringify(module)})
    try {
      const database = await openDatabase({ directory: ${JSON.stringify(directory)}, createIfMissing: false })
      console.log('open', (await database.get(Buffer.from(${JSON.stringify(keyOf(4).toString())})))?.length)
      await database.close()
    } catch (error) {
      console.log(error.code, error.message)
    }`
  const { stdout, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script])
  return signal ?? stdout.toString()
}

function replaced(entries: readonly Entry[], place: number, change: Partial<Entry>): Entry[] {
  return entries.map((entry, at) => (at === place ? { ...entry, ...change } : entry))
}

t.test('a table that is packed anew opens', async t => {
  const directory = await databaseWith(t, tail => tail)
  t.same(await verifyDatabase(directory), [])
  t.match(openApart(directory), /^open \d+\n/)
})

const forgeries: Record<string, (tail: Tail) => Tail> = {
  'a data block of 2^50 bytes': tail => ({
    ...tail,
    index: replaced(tail.index, 0, { handle: { offset: 0n, size: HUGE } }),
  }),
  'a data block of 2^64 - 1 bytes': tail => ({
    ...tail,
    index: replaced(tail.index, 0, { handle: { offset: 0n, size: 2n ** 64n - 1n } }),
  }),
  'a data block at 2^50': tail => ({
    ...tail,
    index: replaced(tail.index, 0, { handle: { offset: HUGE, size: 100n } }),
  }),
  'a data block that reaches over the others': tail => ({
    ...tail,
    index: replaced(tail.index, 0, { handle: { offset: 0n, size: 20_000n } }),
  }),
  'a filter of 2^50 bytes': tail => ({
    ...tail,
    metaindex: [{ key: Buffer.from(FILTER), handle: { offset: 0n, size: HUGE } }],
  }),
  'an index key without a tag': tail => ({
    ...tail,
    index: replaced(tail.index, 0, { key: Buffer.from('k') }),
  }),
  ...Object.fromEntries(
    (['index', 'metaindex'] as const).map(forgedBlock => [
      `more restart points than the ${forgedBlock} has room for`,
      (tail: Tail) => ({
        ...tail,
        finish: (block: string, contents: Buffer) => {
          if (block === forgedBlock) contents.writeUInt32LE(2 ** 30, contents.length - 4)
        },
      }),
    ]),
  ),
}

for (const [name, edit] of Object.entries(forgeries)) {
  t.test(`openDatabase refuses ${name}`, async t => {
    const directory = await databaseWith(t, edit)
    t.match(openApart(directory), /^METADATA_DAMAGED .*no sound index/)
    t.ok((await verifyDatabase(directory)).length > 0, 'a verification tells it as well')
  })
}
