// A scan on a real mount: damaged block files and damaged metadata are found, and exactly the damaged files are named.

import { open, readdir, readFile, truncate, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import t from 'tap'
import type { ScanReport } from '../../src/control/index.ts'
import { inodeKey, TABLE } from '../../src/metadata/index.ts'
import { MountedCoffer, mountSkipReason } from '../helpers/mounted.ts'
import { contentOf, OpenStore, sha256 } from '../helpers/open-store.ts'

const FILE_BYTES = 6 * 1024 * 1024
const NAMES = ['flipped', 'cut', 'gone', 'unmapped', 'whole']

interface Reply {
  report: ScanReport
}

/** Files each in a block file of its own: one is closed when the daemon that made it ends. */
async function fill(directory: string): Promise<{ blocks: string[]; inodes: number[] }> {
  const folder = join(directory, 'store', 'blocks', '1', '000000')
  const blocks: string[] = []
  const inodes: number[] = []
  for (const [index, name] of NAMES.entries()) {
    const store = await OpenStore.open(directory)
    if (index === 0) store.addContainer('c')
    await store.write(`c/${name}`, contentOf(index, FILE_BYTES))
    await store.sync()
    const { vfs } = store.storage
    inodes.push(vfs.lookup(vfs.containerByName('c').root, name)?.attributes.inode ?? 0)
    await store.close()
    blocks.push(join(folder, `0000000${index + 1}.blk`))
  }
  if ((await readdir(folder)).length !== NAMES.length) throw new Error('not a block file a file')
  return { blocks, inodes }
}

/** Flips a bit of the record behind LevelDB's back. */
async function damageRecord(directory: string, key: Buffer): Promise<void> {
  const database = new Level<Buffer, Buffer>(join(directory, 'store', 'metadata'), {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    compression: false,
  })
  const record = Buffer.from((await database.get(key)) ?? Buffer.alloc(0))
  record[20] = (record[20] ?? 0) ^ 1
  await database.put(key, record, { sync: true })
  await database.close()
}

t.test('damage on the disk, and in the metadata', { skip: mountSkipReason }, async t => {
  const coffer = new MountedCoffer()
  t.teardown(() => coffer.remove())
  const { blocks, inodes } = await fill(coffer.base)
  const [flipped = '', cut = '', gone = ''] = blocks
  const file = await open(flipped, 'r+')
  await file.write(Buffer.alloc(8, 0xa5), 0, 8, FILE_BYTES / 2)
  await file.close()
  await truncate(cut, FILE_BYTES / 2)
  await unlink(gone)
  await damageRecord(coffer.base, inodeKey(TABLE.extents, inodes[3] ?? 0, 4))
  await coffer.start()

  await t.rejects(coffer.coffer('maintenance', 'scan', '--data', '--wait'), {
    code: 1,
    stderr: /found damage/,
  })
  const { report } = await coffer.json<Reply>('maintenance', 'scan-report')
  t.match(report, { outcome: 'damaged', damagedBlockCount: 3 })
  t.same(report.checks.map(({ check }) => check).toSorted(), ['block-file', 'record-readable'])
  const lost = report.lostFiles.map(({ path }) => path ?? '').toSorted()
  t.same(lost, ['c/cut', 'c/flipped', 'c/gone', 'c/unmapped'])
  const { alerts } = await coffer.json<{ alerts: { code: string }[] }>('alerts', 'show')
  t.equal(alerts.filter(({ code }) => code === 'DAMAGED_FILE').length, 4)
  for (const name of NAMES) {
    const found = await readFile(join(coffer.mount, 'c', name)).then(sha256, () => 'EIO')
    const isLost = lost.includes(`c/${name}`)
    t.equal(found, isLost ? 'EIO' : sha256(contentOf(NAMES.indexOf(name), FILE_BYTES)), name)
  }
})
