// A store on a small disk that runs full: the writer hears of it, nothing that was acknowledged is lost, deletes work.

import { createHash, randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { MountedCoffer, mountSkipReason, shell, tool } from '../helpers/mounted.ts'

const DISK = '400M'
const FILE_BYTES = 8 * 1024 * 1024

async function loopSkipReason(): Promise<string | false> {
  if (mountSkipReason !== false) return mountSkipReason
  return await tool('losetup', '-f').then(
    () => false,
    () => 'there is no free loop device',
  )
}

t.test(
  'ENOSPC reaches the writer, deletes work, what was fsynced stays',
  { skip: await loopSkipReason() },
  async t => {
    const coffer = new MountedCoffer()
    const image = join(coffer.base, 'image')
    t.teardown(async () => {
      await coffer.coffer('stop', '--force', '--yes').catch(() => undefined)
      await tool('umount', coffer.store).catch(() => undefined)
      await coffer.remove()
    })
    await mkdir(coffer.store)
    await shell(
      `truncate -s ${DISK} ${image} && mkfs.ext4 -q -m 0 ${image} && mount -o loop ${image} ${coffer.store}`,
    )
    await coffer.start()
    await coffer.coffer('container', 'add', 'c')
    const at = (index: number): string => join(coffer.mount, 'c', String(index))
    const promised = new Map<number, string>()
    let code: unknown
    for (let index = 0; index < 100 && code === undefined; index++) {
      const data = randomBytes(FILE_BYTES)
      const file = await open(at(index), 'w')
      try {
        await file.writeFile(data)
        await file.sync()
        promised.set(index, createHash('sha256').update(data).digest('hex'))
      } catch (error) {
        code = error instanceof Error && 'code' in error ? error.code : error
      } finally {
        await file.close().catch(() => undefined)
      }
    }
    t.equal(code, 'ENOSPC')
    t.ok(promised.size > 20, `${promised.size} files fitted`)
    const intact = async (): Promise<void> => {
      for (const [index, digest] of promised) {
        const found = createHash('sha256')
          .update(await readFile(at(index)))
          .digest('hex')
        if (found !== digest) t.fail(`file ${index} changed`)
      }
    }
    await intact()
    const { isReadOnly } = await coffer.json<{ isReadOnly: boolean }>('status')
    t.equal(isReadOnly, false, 'a full disk is no failed commit')
    await rm(at(0))
    promised.delete(0)
    await tool('mkdir', join(coffer.mount, 'c', 'names-still-work'))
    await tool('sync', '-f', join(coffer.mount, 'c'))
    await coffer.stop()
    await coffer.start()
    await intact()
    await t.rejects(readFile(at(0)), { code: 'ENOENT' })
  },
)
