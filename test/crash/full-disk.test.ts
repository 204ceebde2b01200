// A disk that somebody else fills up to within a few bytes, beyond what coffer reserves: writers hear of it, nothing that
// was promised is lost, and when there is room again it goes on, without a restart. And LevelDB alone, whose writes meet
// the end of the disk wherever they are: what was committed is there. COFFER_FULL_LEVELS sets how many levels are tried.

import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, open, readFile, rm, statfs, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { inodeKey, openMetadataStore, PendingMap, TABLE } from '../../src/metadata/index.ts'
import { ChildDaemon } from '../helpers/child-daemon.ts'
import { mountSkipReason, shell, tool } from '../helpers/mounted.ts'
import { sha256 } from '../helpers/open-store.ts'
import { clean } from './crash-store.ts'

const LEVELS = Number(process.env['COFFER_FULL_LEVELS'] ?? 4)
const DISK = '200M'
const KIBIBYTE = 1024
const MEBIBYTE = 1024 * KIBIBYTE
/** Below it a commit is refused, above it the disk may be too full for data alone. */
const COMMIT_BYTES_MIN = 2 * MEBIBYTE
const FREE_BYTES_MAX = 24 * MEBIBYTE
/** An alert is raised; a commit still finds room. */
const CRITICAL_BYTES = 5 * MEBIBYTE
const FILES_MAX = 12
const FILE_BYTES = 3 * MEBIBYTE
/** So many stay: the disk is filled by somebody else. */
const LARGE_FILES = 4
const NAMES = 200
const NAME_CHARACTERS = 200
const ROOM_MS_MAX = 20_000
/** Two tables of LevelDB and their logs. */
const BATCH_BYTES = 256 * KIBIBYTE
const BATCHES = 160

async function skipReason(): Promise<string | false> {
  if (mountSkipReason !== false) return mountSkipReason
  return tool('losetup', '-f').then(
    () => false,
    () => 'there is no free loop device',
  )
}

/** Free bytes to leave: none, a few pages, and evenly up to more than is reserved. */
function levels(): number[] {
  const step = FREE_BYTES_MAX / Math.max(1, LEVELS - 2)
  const rest = Array.from({ length: LEVELS - 2 }, (_, index) => Math.round((index + 0.3) * step))
  return [0, 16 * KIBIBYTE, ...rest]
}

/** A small disk that ends with the test. */
class SmallDisk {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  static async mount(t: Test): Promise<SmallDisk> {
    const base = await mkdtemp(join(tmpdir(), 'coffer-full-'))
    const disk = join(base, 'disk')
    const image = join(base, 'image')
    t.teardown(async () => {
      await tool('umount', disk).catch(() => undefined)
      await rm(base, { recursive: true, force: true })
    })
    await shell(
      `mkdir ${disk} && truncate -s ${DISK} ${image} && mkfs.ext4 -q -m 0 ${image} && mount -o loop ${image} ${disk}`,
    )
    return new SmallDisk(disk)
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.path)
    return bavail * bsize
  }

  /** Somebody else's file takes all but so much. */
  async fill(leftBytes: number): Promise<void> {
    // The filesystem takes some for the file itself.
    const spareBytes = leftBytes === 0 ? MEBIBYTE : leftBytes
    const bytes = (await this.freeBytes()) - spareBytes
    await tool('fallocate', '-l', String(bytes), this.#filler)
    if (leftBytes === 0) await shell(`cat /dev/zero >> ${this.#filler} || true`)
  }

  async empty(): Promise<void> {
    await unlink(this.#filler)
  }

  get #filler(): string {
    return join(this.path, 'filler')
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}

/** A client that remembers what it was promised. */
class Client {
  /** path => hash */
  readonly promised = new Map<string, string>()
  readonly #directory: string
  /** those that take room, the oldest first */
  readonly #large: string[] = []
  #number = 0

  constructor(directory: string) {
    this.#directory = directory
  }

  get largeCount(): number {
    return this.#large.length
  }

  /** @returns ok, or what it heard */
  async write(): Promise<string> {
    const path = join(this.#directory, `f${this.#number++}`)
    const data = randomBytes(FILE_BYTES)
    const file = await open(path, 'w').catch(codeOf)
    if (typeof file === 'string') return file
    try {
      await file.writeFile(data)
      await file.sync()
      this.promised.set(path, sha256(data))
      this.#large.push(path)
      return 'ok'
    } catch (error) {
      return codeOf(error)
    } finally {
      await file.close().catch(() => undefined)
    }
  }

  /** More records than fit into what is left of LevelDB's last block. @returns ok, or what it heard */
  async makeNames(): Promise<string> {
    const directory = join(this.#directory, `names-${this.#number++}`)
    await mkdir(directory)
    for (let number = 0; number < NAMES; number++) {
      const path = join(directory, String(number).padStart(NAME_CHARACTERS, '-'))
      await writeFile(path, '')
      this.promised.set(path, sha256(Buffer.alloc(0)))
    }
    const file = await open(directory)
    const heard = await file.sync().then(() => 'ok', codeOf)
    await file.close()
    return heard
  }

  /** @returns ok, or what it heard when it wanted that to be durable */
  async removeOne(): Promise<string> {
    const path = this.#large.shift()
    if (path === undefined) return 'there is none'
    this.promised.delete(path)
    const directory = await open(this.#directory)
    try {
      await unlink(path)
      await directory.sync()
      return 'ok'
    } catch (error) {
      return codeOf(error)
    } finally {
      await directory.close()
    }
  }

  async wrongs(): Promise<string[]> {
    const wrongs: string[] = []
    for (const [path, hash] of this.promised) {
      const found = await readFile(path).then(sha256, codeOf)
      if (found !== hash) wrongs.push(`${path}: ${found}`)
    }
    return wrongs
  }
}

async function alertCodes(daemon: ChildDaemon): Promise<string[]> {
  const { alerts } = await daemon.call('alerts.show', {})
  return alerts.map(({ code }) => code)
}

async function writeOnce(client: Client): Promise<string> {
  for (const until = performance.now() + ROOM_MS_MAX; ; await delay(100)) {
    const heard = await client.write()
    if (heard === 'ok' || performance.now() > until) return heard
  }
}

t.test('coffer on a disk that somebody else fills', { skip: await skipReason() }, async t => {
  const disk = await SmallDisk.mount(t)
  // A trash would be given up before anything is refused.
  const daemon = new ChildDaemon({ disk: disk.path, trashSeconds: 0 })
  t.teardown(() => daemon.remove())
  await daemon.start()
  await daemon.call('container.add', { name: 'c' })
  const client = new Client(join(daemon.mount, 'c'))
  for (let number = 0; number < LARGE_FILES; number++) t.equal(await client.write(), 'ok')
  for (const leftBytes of levels()) {
    await t.test(`${leftBytes} bytes are left`, async t => {
      await disk.fill(leftBytes)
      let heard = 'ok'
      for (let number = 0; number < FILES_MAX && heard === 'ok'; number++) {
        heard = await client.write()
      }
      t.equal(heard, 'ENOSPC', 'the writer hears of it')
      const left = await disk.freeBytes()
      const removed = await client.removeOne()
      const named = await client.makeNames()
      if (left < COMMIT_BYTES_MIN - MEBIBYTE) {
        t.equal(removed, 'ENOSPC', 'so does who deletes')
        t.equal(named, 'ENOSPC', 'and who makes names, which are made later')
      }
      if (left > COMMIT_BYTES_MIN + MEBIBYTE) t.same([removed, named], ['ok', 'ok'], 'names work')
      t.equal((await daemon.call('system.status', {})).isReadOnly, false)
      t.same(await client.wrongs(), [], 'what was promised can be read')
      await disk.empty()
      t.equal(await writeOnce(client), 'ok', 'it goes on when there is room')
      t.equal(await clean(daemon), 'complete', 'and cleans')
      while (client.largeCount > LARGE_FILES) t.equal(await client.removeOne(), 'ok')
      t.same(await client.wrongs(), [])
    })
  }
  await disk.fill(CRITICAL_BYTES)
  while (!(await alertCodes(daemon)).includes('SPACE_CRITICAL')) await delay(100)
  t.equal(await client.makeNames(), 'ok', 'which a commit writes down')
  await daemon.kill()
  await disk.empty()
  await disk.fill(0)
  await t.rejects(daemon.start(), { message: /disk is full/ }, 'a start says what it lacks')
  await disk.empty()
  await daemon.start()
  t.notOk((await alertCodes(daemon)).includes('SPACE_CRITICAL'), 'an old alert is not told again')
  t.same(await client.wrongs(), [], 'after a kill too')
  await daemon.call('maintenance.scan', { data: true, wait: true })
  const { report } = await daemon.call('maintenance.scanReport', {})
  t.equal(report?.outcome, 'clean')
})

async function openMetadata(directory: string, failures: Error[] = []) {
  const store = await openMetadataStore({
    directory,
    createIfMissing: true,
    syncData: async () => {},
    flushData: async () => {},
    committed: async () => {},
    failed: error => failures.push(error),
  })
  const pending = new PendingMap<number, Buffer>()
  store.addParticipant({
    collect(batch) {
      for (const [number, value] of pending.collect()) {
        if (value !== null) batch.put(inodeKey(TABLE.extents, number), value)
      }
    },
    settled: () => pending.settled(),
  })
  store.begin()
  return { store, pending }
}

t.test('LevelDB meets the end of the disk', { skip: await skipReason() }, async t => {
  for (const leftBytes of levels()) {
    await t.test(`after ${leftBytes} bytes`, async t => {
      const disk = await SmallDisk.mount(t)
      const directory = join(disk.path, 'metadata')
      await tool('mkdir', directory)
      const failures: Error[] = []
      const { store, pending } = await openMetadata(directory, failures)
      const committed = new Map<number, Buffer>()
      const commit = async (number: number): Promise<string> => {
        const value = randomBytes(BATCH_BYTES)
        pending.set(number, value)
        const heard = await store.commit().then(() => 'ok', codeOf)
        if (heard === 'ok') committed.set(number, value)
        return heard
      }
      t.equal(await commit(1), 'ok')
      await disk.fill(leftBytes)
      let heard = 'ok'
      for (let number = 2; number < BATCHES && heard === 'ok'; number++)
        heard = await commit(number)
      t.equal(heard, 'STORE_READ_ONLY', `after ${committed.size} commits`)
      t.equal(failures.length, 1, 'which is final')
      await disk.empty()
      await store.close()
      const again = await openMetadata(directory)
      const lost = [...committed].filter(([number, value]) => {
        const found = again.store.get(inodeKey(TABLE.extents, number))
        return found === undefined || !value.equals(found)
      })
      t.same(
        lost.map(([number]) => number),
        [],
        'what was committed is there',
      )
      await again.store.commit()
      await again.store.close()
    })
  }
})
