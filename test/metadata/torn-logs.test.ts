// Ends of logs as power cuts leave them, and damages that only look like it. Each is opened with the real LevelDB.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openDatabase } from '../../src/metadata/database.ts'
import { copyOf, change, flip, keyOf, named, scratch } from '../helpers/small-database.ts'

const BLOCK_BYTES = 32 * 1024
const HEADER_BYTES = 7
const BATCHES = 20
/** Two batches are longer than a block. */
const VALUE_BYTES = 20_000

/** A database whose records are all in its log, one a batch. @returns where each begins in the log */
async function makeLog(directory: string, valueBytes = VALUE_BYTES): Promise<number[]> {
  const database = await openDatabase({ directory, createIfMissing: true })
  const starts: number[] = []
  for (let index = 0; index < BATCHES; index++) {
    starts.push((await readFile(await named(directory, /log$/))).length)
    await database.batch().put(keyOf(index), Buffer.alloc(valueBytes, index)).write({ sync: true })
  }
  await database.close()
  return starts
}

/** How many of the batches there are, of which none may be missing before another. */
async function countIn(directory: string): Promise<number> {
  const database = await openDatabase({ directory, createIfMissing: false })
  try {
    const keys = await database.keys().all()
    t.same(keys, [...keys.keys()].map(keyOf))
    return keys.length
  } finally {
    await database.close()
  }
}

async function torn(
  test: Test,
  valueBytes: number,
  edit: (bytes: Buffer, last: number) => Buffer | void,
): Promise<{ directory: string; before: Buffer }> {
  const directory = await scratch(test)
  const starts = await makeLog(directory, valueBytes)
  const log = await named(directory, /log$/)
  await change(log, bytes => edit(bytes, starts.at(-1) ?? 0))
  return { directory, before: await readFile(log) }
}

const TORN: Record<string, (bytes: Buffer, last: number) => Buffer | void> = {
  'a header that is cut': (bytes, last) => bytes.subarray(0, last + 3),
  'a payload that is cut': (bytes, last) => bytes.subarray(0, last + HEADER_BYTES + 20),
  'zeros in its place': (bytes, last) => void bytes.fill(0, last),
  'zeros behind its header': (bytes, last) => void bytes.fill(0, last + HEADER_BYTES),
  'zeros in its first sector': (bytes, last) =>
    void bytes.fill(0, last, Math.min(bytes.length, last + 512)),
  'a flipped bit in its payload': (bytes, last) => flip(bytes, last + HEADER_BYTES + 30),
  'a length that is too large': (bytes, last) => flip(bytes, last + 5, 0x80),
  'noise up to the end of a block': (bytes, last) => {
    const end = (Math.floor(bytes.length / BLOCK_BYTES) + 1) * BLOCK_BYTES
    const noise = Buffer.alloc(end, 'noise')
    bytes.copy(noise, 0, 0, last)
    return noise
  },
}

for (const valueBytes of [200, VALUE_BYTES]) {
  for (const [name, edit] of Object.entries(TORN)) {
    t.test(`openDatabase with values of ${valueBytes} bytes cuts ${name}`, async t => {
      const { directory, before } = await torn(t, valueBytes, edit)
      t.equal(await countIn(directory), BATCHES - 1)
      const [kept, ...others] = await readdir(`${directory}.kept-logs`)
      t.same(others, [])
      t.same(await readFile(join(`${directory}.kept-logs`, kept ?? '')), before, 'a copy is kept')
    })

    t.test(
      `openDatabase with values of ${valueBytes} bytes refuses ${name} before another`,
      async t => {
        const original = await scratch(t)
        const starts = await makeLog(original, valueBytes)
        const directory = await copyOf(t, original)
        const log = await named(directory, /log$/)
        const [at, next] = [starts[BATCHES - 5] ?? 0, starts[BATCHES - 4] ?? 0]
        await change(log, bytes => {
          const part = edit(bytes.subarray(0, next), at)
          if (part === undefined) return bytes
          // What a cut file lacks is zeros here.
          const whole = Buffer.alloc(next)
          part.copy(whole)
          return Buffer.concat([whole, bytes.subarray(next)])
        })
        const before = await readFile(log)
        await t.rejects(openDatabase({ directory, createIfMissing: false }), {
          code: 'METADATA_DAMAGED',
        })
        t.same(await readFile(log), before, 'nothing is cut')
      },
    )
  }
}

t.test('openDatabase leaves a sound log as it is', async t => {
  const directory = await scratch(t)
  await makeLog(directory)
  t.equal(await countIn(directory), BATCHES)
  await t.rejects(readdir(`${directory}.kept-logs`), { code: 'ENOENT' })
})

t.test('openDatabase takes a log within a value of the torn batch for no log', async t => {
  const directory = await scratch(t)
  const starts = await makeLog(directory, 200)
  const path = await named(directory, /log$/)
  const bytes = await readFile(path)
  // A client may have written an older record of the log as an attribute.
  const old = bytes.subarray(0, starts[1])
  const last = starts.at(-1) ?? 0
  await change(path, () => Buffer.concat([bytes.subarray(0, last + 30), old, Buffer.alloc(40)]))
  t.equal(await countIn(directory), BATCHES - 1)
})
