// Repairs on a real mount through the binary: what is broken in the metadata is mended beside clients, a lost file is named
// and can be given up.

import { cp, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { QuarantineInfo, RepairInfo, RepairPlanInfo } from '../../src/control/index.ts'
import { inodeKey, TABLE } from '../../src/metadata/index.ts'
import { breaks, dentryOf } from '../helpers/broken-records.ts'
import { brokenStores, FILE_CONTENT, LINKED_CONTENT } from '../helpers/broken-store.ts'
import { MountedCoffer, mountSkipReason } from '../helpers/mounted.ts'
import { sha256 } from '../helpers/open-store.ts'

t.test('broken metadata, and a lost file', { skip: mountSkipReason }, async t => {
  const coffer = new MountedCoffer()
  t.teardown(() => coffer.remove())
  const stores = await brokenStores(t)
  const broken = await stores.broken(place => {
    const { records, inodes } = place
    // The file has no name any more, a directory no record; one count is wrong.
    records.set(dentryOf(place, 'file'), null)
    records.delete(inodeKey(TABLE.inode, inodes.directory))
    for (const [check, change] of breaks) if (check === 'container-files') change(place)
    // And a page of the linked file's extents is unreadable.
    for (const key of records.keys(TABLE.extents)) {
      if (key.readUInt32BE(5) === inodes.link) records.set(key, null)
    }
  })
  await cp(join(broken, 'store'), join(coffer.base, 'store'), { recursive: true })
  await coffer.start()
  const mount = join(coffer.mount, 'a')
  await t.rejects(stat(join(mount, 'directory')), 'it is broken')

  const plan = await coffer.json<RepairPlanInfo>('maintenance', 'repair', '--dry-run')
  t.ok(plan.actionCount >= 3, JSON.stringify(plan))
  await t.rejects(stat(join(mount, 'directory')), 'and stays so after a dry run')
  await t.rejects(coffer.coffer('maintenance', 'repair', '--wait'), {
    code: 1,
    stderr: /Not everything could be repaired/,
  })
  const { inodes } = stores
  const saved = await readFile(join(mount, 'lost+found', `inode-${inodes.file}`))
  t.equal(sha256(saved), sha256(FILE_CONTENT))
  t.same(await readdir(join(mount, 'directory')), ['nested'])
  await t.rejects(readFile(join(mount, 'two names')), { code: 'EIO' }, 'what is lost is EIO')
  t.equal((await stat(join(mount, 'two names'))).size, LINKED_CONTENT.length)

  const { repairs } = await coffer.json<{ repairs: RepairInfo[] }>('maintenance', 'repair-history')
  t.match(repairs, [{ outcome: 'incomplete', quarantinedFileCount: 1 }])
  const kept = await readdir(join(coffer.base, 'store', 'repairs'))
  t.same(kept.toSorted(), repairs[0]?.backups.toSorted(), 'changed records are kept')
  const clear = ['maintenance', 'clear-quarantine'] as const
  const listed = await coffer.json<QuarantineInfo>(...clear, '--dry-run')
  t.match(listed.files, [{ inode: inodes.link }])
  await t.rejects(coffer.coffer(...clear, '--delete-files'), 'it asks')
  const cleared = await coffer.json<QuarantineInfo>(...clear, '--delete-files', '--yes')
  t.equal(cleared.deletedFileCount, 2, 'both names')
  t.same((await readdir(mount)).toSorted(), ['directory', 'lost+found'])
  await coffer.coffer('maintenance', 'repair', '--wait')
  await coffer.coffer('maintenance', 'scan', '--wait')
})
