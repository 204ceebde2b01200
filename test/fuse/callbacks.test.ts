// The adapter of the second transport without a mount: what it gives back, what it hides, and which package it takes.

import fc from 'fast-check'
import t from 'tap'
import { FilesystemError } from '../../src/errors.ts'
import { nativeOperations } from '../../src/fuse/callbacks/fuse-native.ts'
import { pathNames, toBytes, toExactText, toListedText } from '../../src/fuse/callbacks/names.ts'
import { loadPackage } from '../../src/fuse/callbacks/packages.ts'
import { PathFilesystem } from '../../src/fuse/callbacks/path-filesystem.ts'
import { Traffic } from '../../src/fuse/callbacks/traffic.ts'
import type { AttributeChanges, Attributes } from '../../src/fuse/filesystem.ts'
import { MemoryFilesystem } from './memory-filesystem.ts'

const ROOT = { uid: 0, gid: 0, pid: 1 }
const NO_FLAGS = { noReplace: false, exchange: false }
const O_RDWR = 2
const O_TRUNC = 0o1000
const HIDDEN = '/d/.fuse_hidden0000000200000001'

/** References that the kernel would hold on anything but the root. */
function referenceCount(filesystem: MemoryFilesystem): number {
  let count = 0
  for (const [inode, { references }] of filesystem.nodes) if (inode !== 1) count += references
  return count
}

t.test('every reference is given back, whatever fails', async t => {
  const filesystem = new MemoryFilesystem()
  const paths = new PathFilesystem(filesystem)
  await paths.mkdir('/d', 0o755, ROOT)
  await paths.mkdir('/d/e', 0o755, ROOT)
  const number = await paths.create('/d/e/f', 0o644, O_RDWR, ROOT)
  t.equal(await paths.write(number, Buffer.from('content'), 0), 7)
  const buffer = Buffer.alloc(20)
  t.equal(await paths.read(number, buffer, 3), 4)
  t.equal(buffer.toString('latin1', 0, 4), 'tent')
  t.equal((await paths.getattr({ path: null, number })).sizeBytes, 7)
  t.equal((await paths.getattr({ path: '/d/e/f', number: 0 })).sizeBytes, 7)
  await t.rejects(paths.getattr({ path: '/d/nothing/f', number: 0 }), { code: 'ENOENT' })
  await t.rejects(paths.getattr({ path: '/d/e/f/g', number: 0 }), { code: 'ENOTDIR' })
  await t.rejects(paths.mkdir('/', 0o755, ROOT), { code: 'EBUSY' })
  await t.rejects(paths.mkdir(`/${'n'.repeat(256)}`, 0o755, ROOT), { code: 'ENAMETOOLONG' })
  await t.rejects(paths.open('/d/nothing', 0, ROOT), { code: 'ENOENT' })
  await paths.rename('/d/e/f', '/d/f', NO_FLAGS, ROOT)
  const directory = await paths.opendir('/d')
  const names = (await paths.readdir(directory, 0, 100)).map(({ name }) => name)
  t.same(names.sort(), ['.', '..', 'e', 'f'])
  t.equal(paths.openCount, 2)
  await paths.release(directory)
  await paths.release(number)
  t.equal(paths.openCount, 0)
  await t.rejects(paths.release(number), { code: 'EBADF' })
  t.equal(referenceCount(filesystem), 0)
})

t.test('what libfuse hides is in no listing, no link, and keeps no directory', async t => {
  const filesystem = new MemoryFilesystem()
  const paths = new PathFilesystem(filesystem)
  const list = async (path: string): Promise<string[]> => {
    const directory = await paths.opendir(path)
    const entries = await paths.readdir(directory, 0, 1)
    const all = [...entries]
    for (;;) {
      const more = await paths.readdir(directory, all.at(-1)?.cookie ?? 0, 1)
      if (more.length === 0) break
      all.push(...more)
    }
    await paths.release(directory)
    return all.map(({ name }) => name).filter(name => !name.startsWith('.') || name.length > 2)
  }
  await paths.mkdir('/d', 0o755, ROOT)
  const number = await paths.create('/d/f', 0o644, O_RDWR, ROOT)
  await paths.rename('/d/f', HIDDEN, NO_FLAGS, ROOT)
  t.same(await list('/d'), [])
  t.equal((await paths.getattr({ path: HIDDEN, number: 0 })).linkCount, 1, 'libfuse takes it away')
  await paths.link(HIDDEN, '/other', ROOT)
  t.equal((await paths.getattr({ path: '/other', number: 0 })).linkCount, 1)
  t.equal((await paths.getattr({ path: HIDDEN, number: 0 })).linkCount, 2)
  await paths.unlink('/other', ROOT)

  await paths.mkdir('/d/g', 0o755, ROOT)
  await t.rejects(paths.rmdir('/d', ROOT), { code: 'ENOTEMPTY' })
  t.same(await list('/d'), ['g'], 'what is not hidden stays, and keeps the directory')
  await paths.rmdir('/d/g', ROOT)
  await paths.rmdir('/d', ROOT)
  t.equal(await paths.write(number, Buffer.from('still open'), 0), 10)
  await paths.release(number)
  t.equal(referenceCount(filesystem), 0)
})

t.test('a file that is closed is renamed as anybody wants', async t => {
  const paths = new PathFilesystem(new MemoryFilesystem())
  await paths.mkdir('/d', 0o755, ROOT)
  await paths.release(await paths.create('/d/f', 0o644, O_RDWR, ROOT))
  await paths.rename('/d/f', HIDDEN, NO_FLAGS, ROOT)
  t.equal((await paths.getattr({ path: HIDDEN, number: 0 })).linkCount, 1)
  const directory = await paths.opendir('/d')
  t.ok((await paths.readdir(directory, 0, 100)).some(({ name }) => HIDDEN.endsWith(name)))
})

t.test('truncation by an open takes privileges away, unless root does it', async t => {
  const changes: unknown[] = []
  class Watched extends MemoryFilesystem {
    override setattr(inode: number, change: AttributeChanges): Attributes {
      changes.push(change)
      return super.setattr(inode, change)
    }
  }
  const paths = new PathFilesystem(new Watched())
  await paths.release(await paths.create('/f', 0o4755, O_RDWR, ROOT))
  for (const [flags, uid] of [
    [O_RDWR, 1000],
    [O_RDWR | O_TRUNC, 0],
    [O_RDWR | O_TRUNC, 1000],
  ] as const) {
    await paths.release(await paths.open('/f', flags, { ...ROOT, uid }))
  }
  t.same(changes, [{ killPrivileges: true }])
})

t.test('names: text that is whole comes back, what was lost is refused', async t => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), text => {
      fc.pre(!text.includes('\ufffd'))
      t.equal(toExactText(toBytes(text)), text)
      t.equal(toListedText(toBytes(text)), text)
    }),
  )
  t.throws(() => toBytes('a\ufffd'), { code: 'EILSEQ' })
  t.throws(() => toExactText('a\xff'), { code: 'EILSEQ' })
  t.throws(() => pathNames('/a/\ufffd/b'), { code: 'EILSEQ' })
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 255 }), bytes => {
      const name = Buffer.from(bytes).toString('latin1')
      const shown = toListedText(name)
      t.ok(Buffer.byteLength(shown) <= 255)
      // Never another file's name.
      if (shown.includes('\ufffd')) t.throws(() => toBytes(shown), { code: 'EILSEQ' })
      else t.equal(toBytes(shown), name)
    }),
  )
})

t.test('the package that loads, or what to install', async t => {
  const packages: Record<string, unknown> = {}
  const load = (id: string): unknown => {
    const found = packages[id]
    if (found === undefined)
      throw Object.assign(new Error(`no ${id}`), { code: 'MODULE_NOT_FOUND' })
    if (found instanceof Error) throw found
    return found
  }
  t.throws(() => loadPackage(load), {
    code: 'TRANSPORT_MISSING',
    message: /npm install .*fuse-napi/,
  })
  packages['fuse-native/package.json'] = { version: '2.2.6' }
  packages['fuse-native'] = class {}
  t.match(loadPackage(load), { name: 'fuse-native', version: '2.2.6' })
  packages['fuse-napi/package.json'] = { version: '2.3.1' }
  packages['fuse-napi'] = new Error('libfuse3.so.3: cannot open\nmore')
  t.equal(loadPackage(load).name, 'fuse-native', 'what does not load is passed over')
  packages['fuse-native'] = undefined
  t.throws(() => loadPackage(load), {
    message: /fuse-napi does not load: libfuse3.so.3: cannot open;/,
  })
  packages['fuse-napi'] = class {}
  t.equal(loadPackage(load).name, 'fuse-napi')
})

t.test('failures become errnos, and nothing is done after the end', async t => {
  const traffic = new Traffic()
  const answer = async (work: () => Promise<number>): Promise<[number, number?]> =>
    new Promise(resolve => {
      traffic.run(3, ROOT, work, (error, value) =>
        resolve(value === undefined ? [error] : [error, value]),
      )
    })
  t.same(await answer(async () => 5), [0, 5])
  t.same(
    await answer(async () => {
      throw new FilesystemError('ENOSPC')
    }),
    [-28],
  )
  t.same(await answer(() => Promise.reject(new Error('a bug'))), [-5])
  t.match(traffic.statistics, { requests: 3, requestsByOpcode: { getattr: 3 }, requestsWaiting: 0 })
  traffic.end()
  t.same(await answer(async () => Number(t.fail('not done'))), [-107])
})

t.test("fuse-native's 32 bits: a large disk gets larger blocks", async t => {
  class LargeDisk extends MemoryFilesystem {
    override statfs() {
      const blocks = 2 ** 34
      return {
        blockSizeBytes: 4096,
        totalBlocks: blocks,
        freeBlocks: blocks / 2,
        availableBlocks: blocks / 4,
        totalInodes: 2 ** 40,
        freeInodes: 2 ** 40 - 1,
        nameLengthMax: 255,
      }
    }
  }
  const operations = nativeOperations(new PathFilesystem(new LargeDisk()), new Traffic()) as {
    statfs: (path: string, reply: (error: number, value: unknown) => void) => void
  }
  const value = await new Promise<unknown>(resolve => {
    operations.statfs('/', (_error, found) => resolve(found))
  })
  t.match(value, {
    bsize: 32_768,
    blocks: 2 ** 31,
    bfree: 2 ** 30,
    bavail: 2 ** 29,
    files: 2 ** 32 - 1,
  })
})
