// cp, rsync and tar through the second transport, both ways; what fsync has promised, after a kill; and the mount's end by
// other hands. COFFER_TRANSPORT_KILLS sets the number of kills.

import { createHash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { open, readdir, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'tap'
import { MountedCoffer, shell, tool } from '../helpers/mounted.ts'
import { served, startOptions, transportSkipReason } from './package.ts'

/** Files that exist on every machine which runs these tests: our own sources. */
const SOURCES = join(import.meta.dirname, '../../../src')
const KILLS = Number(process.env['COFFER_TRANSPORT_KILLS'] ?? 1)
const FILE_BYTES = 300_000
/** fuse-native can't set times, and has no attributes: what is asked of the programs is what they can do. */
const isFull = served === 'fuse-napi'

test('the second transport', { skip: transportSkipReason }, async t => {
  const coffer = new MountedCoffer()
  t.teardown(() => coffer.remove())
  await coffer.start(...startOptions)
  await coffer.coffer('container', 'add', 'c')
  const top = join(coffer.mount, 'c')
  const beside = join(coffer.base, 'beside')
  await shell(`
    mkdir ${beside} ${beside}/tree; cd ${beside}/tree; cp -r ${SOURCES}/vfs ${SOURCES}/errors.ts .
    mkfifo fifo; ln -s nowhere dangling; truncate -s 20M sparse; echo end >> sparse; chmod 4711 errors.ts`)
  if (isFull) {
    await shell(`
      cd ${beside}/tree; setfattr -n user.note -v text errors.ts; chown 12:34 sparse
      setfacl -m u:1234:rw- errors.ts; setfacl -d -m g:4321:r-x vfs; touch -d 1999-12-31T23:59:59.123456789 vfs/vfs.ts`)
  }

  await t.test('status says who serves', async t => {
    t.match(await coffer.coffer('status'), new RegExp(`Transport +: ${served} \\d`))
  })

  const same = (copy: string): Promise<string> =>
    shell(`rsync ${isFull ? '-aAXS' : '-rlpgoD --checksum'} -nic --delete ${beside}/tree/ ${copy}/`)

  await t.test('cp', async t => {
    await shell(`cp ${isFull ? '-a' : '-r --preserve=mode,ownership'} ${beside}/tree ${top}/cp`)
    t.equal(await same(`${top}/cp`), '')
    if (!isFull) {
      await t.rejects(shell(`cp -a ${beside}/tree ${top}/loud`), /preserving times/, 'said aloud')
    }
  })

  await t.test('rsync', async t => {
    const flags = isFull ? '-aAXS' : '-rlpgoD'
    await shell(
      `rsync ${flags} ${beside}/tree/ ${top}/rsync/; rsync ${flags} ${top}/rsync/ ${beside}/back/`,
    )
    t.equal(await same(`${beside}/back`), '')
  })

  await t.test('tar', async t => {
    const flags = isFull ? '--acls --xattrs --xattrs-include=* --sparse' : '--sparse'
    const extraction = isFull ? '-xpf' : '-xpmf'
    await shell(`
      cd ${beside}; tar ${flags} -cf ${top}/tree.tar tree; mkdir ${top}/untarred
      tar ${flags} ${extraction} ${top}/tree.tar -C ${top}/untarred`)
    t.equal(await same(`${top}/untarred/tree`), '')
  })

  await t.test('a file that is deleted while open', async t => {
    const path = join(top, 'deleted')
    await writeFile(path, 'content')
    const file = await open(path, constants.O_RDWR)
    await unlink(path)
    t.notOk(
      (await readdir(top)).some(name => name.startsWith('.fuse_hidden')),
      'has no name',
    )
    t.equal((await file.stat()).nlink, 0)
    t.equal(await file.readFile('utf8'), 'content')
    await file.close()
  })

  await t.test(`what was fsynced survives kill -9, ${KILLS} times`, async t => {
    const promised = new Map<string, string>()
    for (let round = 0; round < KILLS; round += 1) {
      const writing = writeUntilKilled(top, round, promised)
      const before = promised.size
      while (promised.size === before) await delay(20)
      await coffer.kill()
      await writing
      await coffer.start(...startOptions)
    }
    for (const [path, digest] of promised) t.equal(sha256(await readFile(path)), digest, path)
    t.ok(promised.size >= KILLS, `${promised.size} files were promised`)
    const { alerts } = await coffer.json<{ alerts: { code: string }[] }>('alerts', 'show')
    t.same(
      alerts.map(({ code }) => code),
      ['UNCLEAN_SHUTDOWN'],
    )
  })

  await t.test(
    'a kill leaves what was deleted while open under the name that libfuse gave it',
    async t => {
      const file = await open(join(top, 'held'), 'w')
      await unlink(join(top, 'held'))
      const directory = await open(top)
      await directory.sync()
      await directory.close()
      await coffer.kill()
      await file.close().catch(() => undefined)
      await coffer.start(...startOptions)
      const left = (await readdir(top)).filter(name => name.startsWith('.fuse_hidden'))
      t.equal(left.length, 1)
      await unlink(join(top, left[0] ?? ''))
    },
  )

  await t.test('a mount in use stays, and umount ends the daemon', async t => {
    const file = await open(join(top, 'busy'), 'w')
    await t.rejects(coffer.coffer('stop'), /in use/)
    await file.writeFile('still served')
    await file.close()
    // The last close reaches the daemon a little after it returns.
    await rename(join(top, 'busy'), join(top, 'idle'))
    await tool('umount', coffer.mount)
    for (;;) {
      const isGone = await coffer.coffer('status').then(
        () => false,
        () => true,
      )
      if (isGone) break
    }
    await coffer.start()
    t.equal(await readFile(join(top, 'idle'), 'utf8'), 'still served', 'by the default transport')
    t.match(await coffer.coffer('status'), /Transport +: device/)
  })
})

/** Notes the digest of each file whose fsync returned. */
async function writeUntilKilled(
  top: string,
  round: number,
  promised: Map<string, string>,
): Promise<void> {
  for (let index = 0; ; index += 1) {
    const path = join(top, `${round}-${index}`)
    const data = randomBytes(FILE_BYTES)
    try {
      const file = await open(path, 'w')
      try {
        await file.writeFile(data)
        await file.sync()
        promised.set(path, sha256(data))
      } finally {
        await file.close()
      }
    } catch {
      return
    }
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
