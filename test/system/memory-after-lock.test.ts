// After a lock no key of the group is left anywhere in the daemon's memory, whichever ways it was used before; and none ever
// lay on the disk in the clear.

import '../helpers/cheap-scrypt.ts'
import { createReadStream } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { ChildDaemon } from '../helpers/child-daemon.ts'
import { secretsIn } from '../helpers/keystore-bytes.ts'

const PASSPHRASE = 'a passphrase that stands nowhere else'
const NAME = 'vault'

/** Where in the memory of a process the needles are found. */
async function findInMemory(
  pid: number,
  needles: ReadonlyMap<string, Buffer>,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>()
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8')
  for (const line of maps.split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) r(w|-)..? /.exec(line)
    const [, from, to, write] = range ?? []
    if (from === undefined || to === undefined || write !== 'w') continue
    if (line.includes('/dev/')) continue
    let tail: Buffer = Buffer.alloc(0)
    try {
      const stream = createReadStream(`/proc/${pid}/mem`, {
        start: Number.parseInt(from, 16),
        end: Number.parseInt(to, 16) - 1,
        highWaterMark: 1 << 20,
      })
      for await (const piece of stream) {
        const bytes = Buffer.concat([tail, piece as Buffer])
        for (const [name, needle] of needles) if (bytes.includes(needle)) found.add(name)
        tail = bytes.subarray(-64)
      }
    } catch (error) {
      // A mapping that went away meanwhile, or one of the kernel's that can't be read.
      if (!(error instanceof Error) || !('code' in error)) throw error
      if (error.code !== 'EIO' && error.code !== 'ENOENT') throw error
    }
  }
  return found
}

t.test('a lock leaves no key in memory', { timeout: 300_000 }, async t => {
  const disk = await mkdtemp(join(tmpdir(), 'coffer-memory-'))
  const daemon = new ChildDaemon({ disk })
  t.teardown(async () => {
    await daemon.remove()
    await rm(disk, { recursive: true, force: true })
  })
  await daemon.start()
  await daemon.call('storageGroup.add', { name: NAME })
  await daemon.call('storageGroup.setPassphrase', { name: NAME, next: PASSPHRASE })
  await daemon.call('storageGroup.encryption', { name: NAME, set: 'on' })
  await daemon.call('container.add', { name: 'v', group: NAME })
  // By the small and the large way, under two keys, read again, locked and unlocked, passed over by the cleaner.
  for (let round = 0; round < 2; round++) {
    await writeFile(join(daemon.mount, 'v', `large-${round}`), randomBytes(6_000_000))
    for (let index = 0; index < 20; index++) {
      await writeFile(join(daemon.mount, 'v', `small-${round}-${index}`), randomBytes(3000))
    }
    await daemon.call('storageGroup.rotateKey', { name: NAME })
    await daemon.call('storageGroup.lock', { name: NAME })
    await daemon.call('storageGroup.unlock', { name: NAME, passphrase: PASSPHRASE })
    await readFile(join(daemon.mount, 'v', `large-${round}`))
  }
  const [file] = await readdir(join(daemon.store, 'keystores'))
  const keystore = await readFile(join(daemon.store, 'keystores', file ?? ''))
  const needles = await secretsIn(keystore, PASSPHRASE)
  t.ok(needles.size >= 5, `${[...needles.keys()].join()}`)
  const before = await findInMemory(daemon.pid, needles)
  t.ok(before.has('fingerprint key') && before.has('key 3'), 'they are there while they are needed')
  await daemon.call('storageGroup.lock', { name: NAME })
  t.strictSame([...(await findInMemory(daemon.pid, needles))], [])

  for (const entry of await readdir(disk, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const bytes = await readFile(path)
    for (const [name, needle] of needles)
      if (bytes.includes(needle)) t.fail(`${name} is in ${path}`)
  }
})
