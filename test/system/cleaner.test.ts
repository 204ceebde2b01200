// The cleaner on a real mount: beside readers, on a disk that is nearly full, and for a group that becomes encrypted.

import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { MountedCoffer, mountSkipReason, shell, startedCoffer, tool } from '../helpers/mounted.ts'

const run = promisify(execFile)
const MIB = 1024 * 1024
const FILE_BYTES = 8 * MIB

interface Pass {
  outcome: string
  text: string
  freedBytes: number
  writtenBytes: number
  encryptedBytes: number
  freedBlocks: number
  retiredKeys: number
}
interface Plan {
  reclaimableBytes: number
  blocks: { action: string }[]
}
interface Stats {
  physicalBytes: number
}

function reclaim(coffer: MountedCoffer): Promise<Pass> {
  return coffer.json<Pass>('maintenance', 'reclaim-space', '--wait')
}

function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

/** Writes and syncs a file of random bytes. @returns its hash. @throws ENOSPC */
async function writeSynced(path: string, bytes = FILE_BYTES): Promise<string> {
  const data = randomBytes(bytes)
  const file = await open(path, 'w')
  try {
    await file.writeFile(data)
    await file.sync()
  } finally {
    await file.close().catch(() => undefined)
  }
  return sha256(data)
}

async function changedFiles(files: ReadonlyMap<string, string>): Promise<string[]> {
  const changed: string[] = []
  for (const [path, hash] of files) {
    const found = await readFile(path).then(sha256, (error: Error) => error.message)
    if (found !== hash) changed.push(`${path}: ${found}`)
  }
  return changed
}

t.test(
  'half of the files go; the others are read meanwhile',
  { skip: mountSkipReason },
  async t => {
    const coffer = await startedCoffer(t, 'c')
    const files = new Map<string, string>()
    for (let index = 0; index < 60; index++) {
      const path = join(coffer.mount, 'c', String(index))
      files.set(path, await writeSynced(path))
    }
    const before = await coffer.json<Stats>('stats', 'system')
    let deadBytes = 0
    for (const [index, path] of [...files.keys()].entries()) {
      if (index % 2 === 0) continue
      await rm(path)
      files.delete(path)
      deadBytes += FILE_BYTES
    }
    const plan = await coffer.json<Plan>('maintenance', 'reclaim-space', '--dry-run')
    const reading = { goesOn: true, rounds: 0, changed: [] as string[] }
    const reader = (async () => {
      while (reading.goesOn) {
        // Else the kernel answers from its page cache.
        for (const path of files.keys())
          await run('dd', [`of=${path}`, 'oflag=nocache', 'count=0', 'conv=notrunc'])
        reading.changed.push(...(await changedFiles(files)))
        reading.rounds++
      }
    })()
    const pass = await reclaim(coffer)
    reading.goesOn = false
    await reader
    t.match(pass, { outcome: 'complete', text: '' })
    t.ok(reading.rounds > 0)
    t.same(reading.changed, [])
    const after = await coffer.json<Stats>('stats', 'system')
    const freed = before.physicalBytes - after.physicalBytes
    t.ok(freed >= 0.95 * deadBytes, `${freed} of ${deadBytes} dead bytes were freed`)
    t.ok(Math.abs(freed / plan.reclaimableBytes - 1) < 0.02, 'as the dry run said')
    await coffer.kill()
    await coffer.start()
    t.same(await changedFiles(files), [], 'after a kill too')
  },
)

t.test('a clear group becomes encrypted', { skip: mountSkipReason }, async t => {
  const coffer = await startedCoffer(t)
  await coffer.coffer('storage-group', 'add', 'vault', '--compression', 'none')
  await coffer.coffer('container', 'add', 'safe', '--group', 'vault')
  const marker = 'Zq7!marker-that-nobody-else-writes-0123456789abcdefghijklmnopqrs'
  const path = join(coffer.mount, 'safe', 'file')
  const content = Buffer.concat([randomBytes(300_000), Buffer.from(marker), randomBytes(20 * MIB)])
  await writeFile(path, content)
  await tool('sync', path)
  const filesWithMarker = async (): Promise<number> => {
    const search = run('grep', ['-rlaF', '--', marker, join(coffer.store, 'blocks')])
    const { stdout } = await search.catch((error: { code: number; stdout: string }) => {
      // 1 is grep's word for "none".
      if (error.code === 1) return { stdout: '' }
      throw error
    })
    return stdout.split('\n').filter(line => line !== '').length
  }
  t.equal(await filesWithMarker(), 1, 'clear: the search works')
  const passphrase = join(coffer.base, 'passphrase')
  await writeFile(passphrase, 'correct horse\n')
  await coffer.coffer('storage-group', 'set-passphrase', 'vault', '--passphrase-file', passphrase)
  await coffer.coffer('storage-group', 'encryption', 'vault', '--set', 'on', '--yes')
  const pass = await reclaim(coffer)
  t.equal(pass.outcome, 'complete')
  t.equal(pass.encryptedBytes, content.length)
  t.equal(await filesWithMarker(), 1, 'in the trash')
  const emptyTrash = () => coffer.coffer('maintenance', 'empty-trash', '--group', 'vault', '--yes')
  await emptyTrash()
  t.equal(await filesWithMarker(), 0, 'nowhere in the block files')
  interface Keys {
    keys: { id: number; state: string }[]
    clearBytes: number
    pendingBytes: number
  }
  t.match(await coffer.json<Keys>('storage-group', 'keys', 'vault'), {
    clearBytes: 0,
    pendingBytes: 0,
  })
  t.ok((await readFile(path)).equals(content))
  for (const [mode, active] of [
    ['static', 2],
    ['internal', 3],
  ] as const) {
    await coffer.coffer('storage-group', 'encryption', 'vault', '--mode', mode)
    t.match(await reclaim(coffer), { outcome: 'complete', retiredKeys: 0 }, mode)
    await emptyTrash()
    // Its keys are erased by the next pass at the latest.
    t.match(await reclaim(coffer), { outcome: 'complete' }, mode)
    const { keys, pendingBytes } = await coffer.json<Keys>('storage-group', 'keys', 'vault')
    t.equal(pendingBytes, 0)
    t.same(
      keys.map(({ id, state }) => `${id} ${state}`),
      keys.map(({ id }) => `${id} ${id === active ? 'active' : 'retired'}`),
    )
  }
  t.ok((await readFile(path)).equals(content))
})

async function loopSkipReason(): Promise<string | false> {
  if (mountSkipReason !== false) return mountSkipReason
  return await tool('losetup', '-f').then(
    () => false,
    () => 'there is no free loop device',
  )
}

t.test(
  'a disk that is full is cleaned and written again',
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
      `truncate -s 400M ${image} && mkfs.ext4 -q -m 0 ${image} && mount -o loop ${image} ${coffer.store}`,
    )
    await coffer.start()
    await coffer.coffer('container', 'add', 'c')
    const files = new Map<string, string>()
    let next = 0
    /** Writes files until there is no room. @returns how many there was room for */
    const fill = async (): Promise<number> => {
      for (let count = 0; ; count++) {
        const path = join(coffer.mount, 'c', String(next++))
        try {
          files.set(path, await writeSynced(path))
        } catch (error) {
          t.equal((error as { code?: string }).code, 'ENOSPC')
          await rm(path)
          return count
        }
      }
    }
    const first = await fill()
    t.ok(first > 30, `${first} files fitted`)
    let deleted = 0
    for (const [index, path] of [...files.keys()].entries()) {
      // Whole block files for the most part, and some of the others.
      if (index % 4 === 3) continue
      await rm(path)
      files.delete(path)
      deleted++
    }
    const passphrase = join(coffer.base, 'passphrase')
    await writeFile(passphrase, 'correct horse\n')
    const group = 'DefaultGroup'
    await coffer.coffer('storage-group', 'set-passphrase', group, '--passphrase-file', passphrase)
    await coffer.coffer('storage-group', 'encryption', group, '--set', 'on', '--yes')
    // A pass that low space has begun by itself may be under way.
    for (let tries = 0; ; tries++) {
      const pass = await reclaim(coffer).catch((error: { stderr?: string }) => error.stderr ?? '')
      if (typeof pass === 'string') {
        t.match(pass, /cleaner is running/)
        if (tries > 60) throw new Error('the cleaner does not end')
        await new Promise(done => setTimeout(done, 500))
        continue
      }
      t.match(pass, { outcome: 'complete' })
      break
    }
    t.same(await changedFiles(files), [])
    const { blocks } = await coffer.json<Plan>('maintenance', 'reclaim-space', '--dry-run')
    t.same(blocks, [], 'everything is encrypted and compact')
    const again = await fill()
    t.ok(again >= deleted - 3, `${deleted} files were deleted, ${again} fitted again`)
    t.same(await changedFiles(files), [])
    const status = await coffer.json<{ isReadOnly: boolean }>('status')
    t.equal(status.isReadOnly, false)
  },
)
