// A scan on a real mount: damaged block files and damaged metadata are found, and exactly the damaged files are named.

import { createHash, randomBytes } from 'node:crypto'
import { open, readdir, readFile, truncate, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import t from 'tap'
import { inodeKey, TABLE } from '../../src/metadata/index.ts'
import type { ScanReport } from '../../src/control/index.ts'
import { MountedCoffer, mountSkipReason, startedCoffer } from '../helpers/mounted.ts'

const FILE_BYTES = 6 * 1024 * 1024

interface Reply {
  report: ScanReport
}

/** The report of a scan that runs to its end, whatever it finds. */
async function scan(coffer: MountedCoffer): Promise<ScanReport> {
  await coffer.coffer('maintenance', 'scan', '--data', '--wait').catch(() => undefined)
  return (await coffer.json<Reply>('maintenance', 'scan-report')).report
}

const pathsOf = ({ lostFiles }: ScanReport): (string | null)[] =>
  lostFiles.map(({ path }) => path).sort()

t.test('damage on the disk, and in the metadata', { skip: mountSkipReason }, async t => {
  const coffer = await startedCoffer(t, 'c')
  const hashes = new Map<string, string>()
  const blocks: string[] = []
  const folder = join(coffer.store, 'blocks', '1', '000000')
  for (const name of ['flipped', 'cut', 'gone', 'whole']) {
    const data = randomBytes(FILE_BYTES)
    await writeFile(join(coffer.mount, 'c', name), data)
    hashes.set(name, createHash('sha256').update(data).digest('hex'))
    // A block file is closed with its daemon, so that each file has one of its own.
    await coffer.stop()
    blocks.push((await readdir(folder)).sort().at(-1) ?? '')
    await coffer.start()
  }
  const clean = await scan(coffer)
  t.match(clean, { outcome: 'clean', findingCount: 0, readBlocks: 4, lostFiles: [] })
  t.match(await coffer.coffer('maintenance', 'scan', '--wait'), /Outcome +: clean/)

  const [flipped = '', cut = '', gone = ''] = blocks.map(name => join(folder, name))
  const file = await open(flipped, 'r+')
  await file.write(Buffer.alloc(8, 0xa5), 0, 8, FILE_BYTES / 2)
  await file.close()
  await truncate(cut, FILE_BYTES / 2)
  await unlink(gone)
  const damaged = await scan(coffer)
  t.match(damaged, { outcome: 'damaged', damagedBlockCount: 3 })
  t.same(pathsOf(damaged), ['c/cut', 'c/flipped', 'c/gone'])
  const whole = await readFile(join(coffer.mount, 'c', 'whole'))
  t.equal(createHash('sha256').update(whole).digest('hex'), hashes.get('whole'))
  const alerts = await coffer.json<{ alerts: { code: string }[] }>('alerts', 'show')
  t.equal(alerts.alerts.filter(({ code }) => code === 'DAMAGED_FILE').length, 3)
  await t.rejects(coffer.coffer('maintenance', 'scan', '--wait'), { code: 1 })

  // A bit of a record, behind LevelDB's back.
  const { ino } = await open(join(coffer.mount, 'c', 'whole')).then(async handle => {
    const stat = await handle.stat()
    await handle.close()
    return stat
  })
  await coffer.stop()
  const database = new Level<Buffer, Buffer>(join(coffer.store, 'metadata'), {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    compression: false,
  })
  const key = inodeKey(TABLE.extents, ino, 4)
  const record = Buffer.from((await database.get(key)) ?? Buffer.alloc(20))
  record[20] = (record[20] ?? 0) ^ 1
  await database.put(key, record, { sync: true })
  await database.close()
  await coffer.start()
  const broken = await scan(coffer)
  t.same(
    broken.checks.map(({ check }) => check).sort(),
    ['block-file', 'record-readable'],
    JSON.stringify(broken.findings),
  )
  t.same(pathsOf(broken), ['c/cut', 'c/flipped', 'c/gone', 'c/whole'])
})
