// df on the mount: the disk's own figures at the top, the quota inside of a container whose group has one.

import { join } from 'node:path'
import { test } from 'tap'
import { mountSkipReason, shell, startedCoffer, tool } from '../helpers/mounted.ts'

const MIB = 2 ** 20
/** the least there is */
const QUOTA_BYTES = 100 * 1024 * MIB
const DATA_BYTES = 8 * MIB
/** what the disk may change by while the test looks: others use it, too */
const DISK_TOLERANCE = 0.02

interface Figures {
  readonly size: number
  readonly used: number
  readonly available: number
  readonly inodes: number
  readonly inodesUsed: number
}

async function df(path: string): Promise<Figures> {
  const output = await tool('df', '-B1', '--output=size,used,avail,itotal,iused', path)
  const [size = 0, used = 0, available = 0, inodes = 0, inodesUsed = 0] = (
    output.split('\n')[1] ?? ''
  )
    .trim()
    .split(/\s+/)
    .map(Number)
  return { size, used, available, inodes, inodesUsed }
}

test('df', { skip: mountSkipReason }, async t => {
  const coffer = await startedCoffer(t, 'plain')
  await coffer.coffer('storage-group', 'add', 'small', '--quota', '100GiB')
  await coffer.coffer('storage-group', 'add', 'vast', '--quota', '900TiB')
  for (const group of ['small', 'vast']) {
    await coffer.coffer('container', 'add', group, '--group', group)
  }
  const disk = await df(coffer.store)

  for (const place of ['.', 'plain']) {
    const seen = await df(join(coffer.mount, place))
    t.equal(seen.size, disk.size, `${place}: the disk's size`)
    const apart = Math.abs(seen.available - disk.available) / disk.size
    t.ok(apart < DISK_TOLERANCE, `${place}: what the disk has left`)
    t.ok(seen.inodes > 10 ** 9, `${place}: inodes don't run out`)
    t.ok(seen.inodesUsed < 100, `${place}: ${seen.inodesUsed} inodes`)
  }

  const small = join(coffer.mount, 'small')
  if (disk.size <= QUOTA_BYTES) {
    t.equal((await df(small)).size, disk.size, 'a quota beyond the disk is none')
    return
  }
  t.match(await df(small), { size: QUOTA_BYTES, used: 0 })
  await shell(`head -c ${DATA_BYTES} /dev/urandom > ${small}/data; sync ${small}/data`)
  // the guard counts anew twice a second
  await new Promise(done => setTimeout(done, 600))
  const filled = await df(join(small, 'data'))
  t.equal(filled.size, QUOTA_BYTES)
  t.ok(filled.used >= DATA_BYTES && filled.used < 1.1 * DATA_BYTES, `${filled.used} are used`)
  const leftBytes = Math.min(QUOTA_BYTES - filled.used, disk.available)
  t.ok(Math.abs(filled.available - leftBytes) / leftBytes < DISK_TOLERANCE, 'what is left')

  const vast = await df(join(coffer.mount, 'vast'))
  t.equal(vast.size, disk.size, 'a quota beyond the disk is none')
})
