// Damages of every kind in every file of a small database, which the verification has to tell; and none in a sound one.

import { mkdir, readdir, readFile, truncate } from 'node:fs/promises'
import { basename, join } from 'node:path'
import t from 'tap'
import { openDatabase } from '../../src/metadata/database.ts'
import { verifyDatabase } from '../../src/metadata/index.ts'
import { TableMonitor } from '../../src/metadata/tables/index.ts'
import { maskedCrc32c } from '../../src/native/leveldb.ts'
import { maskedCrc32cPortable } from '../helpers/test-exports.ts'
import { Random } from '../helpers/random.ts'
import {
  change,
  copyOf,
  filesOf,
  flip,
  keyOf,
  makeDatabase,
  named,
  scratch,
} from '../helpers/small-database.ts'

const FLIPS = 40
const SECTOR_BYTES = 512

t.test('maskedCrc32c knows the standard vector, and both ways agree', async t => {
  // RFC 3720: 32 zeros have 8a9136aa.
  const masked = (((0x8a9136aa >>> 15) | (0x8a9136aa << 17)) + 0xa282ead8) >>> 0
  t.equal(maskedCrc32c(Buffer.alloc(32)), masked)
  for (let length = 0; length < 70; length++) {
    const bytes = Buffer.alloc(length, `${length} bytes`)
    t.equal(maskedCrc32c(bytes), maskedCrc32cPortable(bytes))
  }
})

t.test('verifyDatabase finds nothing in a sound database', async t => {
  const directory = await scratch(t)
  await makeDatabase(directory)
  t.same(await verifyDatabase(directory), [])
  t.same(await verifyDatabase(directory, { fromDisk: true }), [])
})

t.test('verifyDatabase tells every flipped bit, and where', { timeout: 120_000 }, async t => {
  const original = await scratch(t)
  await makeDatabase(original)
  const random = new Random(20)
  const directory = await copyOf(t, original)
  for (const name of await filesOf(original)) {
    const path = join(directory, name)
    const bytes = await readFile(path)
    if (bytes.length === 0) continue
    for (let count = 0; count < FLIPS; count++) {
      const at = random.below(bytes.length)
      const mask = 1 << random.below(8)
      await change(path, () => {
        const edited = Buffer.from(bytes)
        flip(edited, at, mask)
        return edited
      })
      const findings = await verifyDatabase(directory)
      // A damaged CURRENT may name a manifest that is not there.
      const isTold = findings.some(({ file }) => name === 'CURRENT' || file === name)
      if (!isTold) t.fail(`${name}: bit ${mask} of byte ${at}`, { findings })
    }
    await change(path, () => bytes)
  }
  t.same(await verifyDatabase(directory), [], 'all is as it was')
})

t.test('verifyDatabase tells files that are cut, missing, or have sectors of others', async t => {
  const original = await scratch(t)
  await makeDatabase(original)
  const random = new Random(21)
  for (const name of await filesOf(original)) {
    const bytes = await readFile(join(original, name))
    const edits: Buffer[] = [
      bytes.subarray(0, random.below(bytes.length)),
      Buffer.alloc(bytes.length),
    ]
    const sectors = Math.floor(bytes.length / SECTOR_BYTES)
    if (sectors > 1) {
      const swapped = Buffer.from(bytes)
      bytes.copy(swapped, 0, SECTOR_BYTES, 2 * SECTOR_BYTES)
      edits.push(swapped)
      const zeros = Buffer.from(bytes)
      edits.push(zeros.fill(0, SECTOR_BYTES, 2 * SECTOR_BYTES))
    }
    for (const edited of edits) {
      if (edited.equals(bytes)) continue
      const directory = await copyOf(t, original)
      await change(join(directory, name), () => edited)
      const findings = await verifyDatabase(directory)
      // A log that ends behind a whole record is as sound as one that was never longer.
      if (name.endsWith('log') && edited.length < bytes.length && findings.length === 0) continue
      t.ok(findings.length > 0, `${name} with ${edited.length} of ${bytes.length} bytes`)
    }
  }
})

t.test('verifyDatabase tells the keys that a damaged block holds', async t => {
  const directory = await scratch(t)
  await makeDatabase(directory)
  const table = await named(directory, /ldb$/)
  await change(table, bytes => flip(bytes, bytes.indexOf('value 1000')))
  const [finding, ...others] = await verifyDatabase(directory)
  t.same(others, [])
  t.match(finding, { file: basename(table), what: /checksum/ })
  const { from = keyOf(0), to = keyOf(0) } = finding ?? {}
  t.ok(Buffer.compare(from, keyOf(1000)) <= 0 && Buffer.compare(from, keyOf(800)) > 0)
  t.ok(Buffer.compare(to, keyOf(1000)) >= 0 && Buffer.compare(to, keyOf(1200)) < 0)
})

t.test('verifyDatabase beside a working LevelDB finds nothing', async t => {
  const directory = await scratch(t)
  const database = await openDatabase({ directory, createIfMissing: true })
  let isOver = false
  const write = async (): Promise<void> => {
    for (let round = 0; round < 40; round++) {
      const batch = database.batch()
      for (let index = 0; index < 300; index++) {
        batch.put(keyOf((index * 7919 + round) % 5000), Buffer.alloc(8000, round))
      }
      await batch.write({ sync: true })
    }
    isOver = true
  }
  const writing = write()
  const monitor = new TableMonitor({ directory })
  while (!isOver) {
    t.same(await monitor.look(), [])
    t.same(await verifyDatabase(directory), [])
  }
  await writing
  t.ok(
    (await readdir(directory)).some(name => name.endsWith('.ldb')),
    'it has made tables',
  )
  await monitor.stop()
  await database.close()
})

t.test('TableMonitor verifies new tables once, and all when asked', async t => {
  const directory = await scratch(t)
  await makeDatabase(directory)
  const told: string[] = []
  const monitor = new TableMonitor({ directory, onDamage: ({ file }) => told.push(file) })
  await monitor.look()
  const table = await named(directory, /ldb$/)
  await change(table, bytes => flip(bytes, 100))
  t.same(await monitor.look(), [], 'a table that was there at first')
  const [first, second] = await Promise.all([monitor.verifyAll(), monitor.verifyAll()])
  t.equal(first.length, 1)
  t.equal(first, second, 'one verification for both')
  t.same(told, [basename(table)])
  t.match(monitor.damage, [{ file: basename(table) }])
  await monitor.stop()
  await t.rejects(monitor.look(), { name: 'AbortError' })
})

t.test('verifyDatabase takes other things in the place of files for damage', async t => {
  const directory = await scratch(t)
  t.match(await verifyDatabase(directory), [{ file: 'CURRENT', what: 'is missing' }])
  await makeDatabase(directory)
  const table = await named(directory, /ldb$/)
  await truncate(table, 0)
  t.match(await verifyDatabase(directory), [{ what: /it has 0 bytes/ }])
  await mkdir(join(directory, 'x'))
  t.match(await verifyDatabase(directory), [{ what: /it has 0 bytes/ }], 'a strange folder')
})
