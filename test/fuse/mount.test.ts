// A real mount with a filesystem in memory, used with the ordinary calls.

import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { mountFilesystem, type FuseMount } from '../../src/fuse/index.ts'
import { ServedMount } from '../../src/fuse/mount.ts'
import { mountFuse } from '../../src/native/fuse-device.ts'
import { MemoryFilesystem } from './memory-filesystem.ts'

const run = promisify(execFile)
const MIB = 1024 * 1024

function whyNoMount(): string | false {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK)
    return false
  } catch {
    return '/dev/fuse is missing or not ours to open'
  }
}

/** Thousands of small requests as fast as they are answered. */
const MAKE_DIRECTORIES =
  "const fs = require('fs'); for (let i = 0; i < 3000; i++) { " +
  "fs.mkdirSync(process.argv[1] + '/d'); fs.rmdirSync(process.argv[1] + '/d') }"

const skip = whyNoMount()
const isRoot = process.getuid?.() === 0

interface Mounted {
  readonly path: string
  readonly filesystem: MemoryFilesystem
  readonly mount: FuseMount
}

async function mounted(t: Test): Promise<Mounted> {
  // Not t.testdir: tap removes that synchronously, in the very thread that has to serve the mount below it.
  const path = await fs.mkdtemp(join(tmpdir(), 'coffer-fuse-'))
  const filesystem = new MemoryFilesystem()
  const mount = await mountFilesystem({ mountPoint: path }, filesystem)
  // Whatever a test does, no mount stays behind.
  t.teardown(async () => {
    await mount.unmount({ force: true })
    await fs.rmdir(path)
  })
  return { path: mount.mountPoint, filesystem, mount }
}

void t.test(
  'who asks often keeps the processors awake, until the burst is over',
  { skip },
  async t => {
    const states: boolean[] = []
    const keepAwake = (isAwake: boolean): number => states.push(isAwake)
    const path = await fs.mkdtemp(join(tmpdir(), 'coffer-fuse-'))
    const descriptor = await mountFuse(path, false)
    const options = {
      slotCount: 8,
      readerCount: 2,
      idleProcessors: { keepAwake, close: () => undefined },
    }
    const mount = new ServedMount(path, descriptor, new MemoryFilesystem(), options)
    t.teardown(async () => {
      await mount.unmount({ force: true })
      await fs.rmdir(path)
    })
    await mount.ready
    for (let tries = 0; tries < 100 && !states.includes(true); tries++) {
      await run(process.execPath, ['-e', MAKE_DIRECTORIES, path])
    }
    t.equal(states[0], true, 'a burst')
    for (let tries = 0; tries < 200 && states.at(-1) === true; tries++) await delay(10)
    t.equal(states.at(-1), false, 'and its end')
  },
)

void t.test('files', { skip }, async t => {
  const { path, filesystem, mount } = await mounted(t)
  const content = randomBytes(5 * MIB + 123)
  await fs.writeFile(join(path, 'a'), content)
  t.equal((await fs.stat(join(path, 'a'))).size, content.length)
  t.ok((await fs.readFile(join(path, 'a'))).equals(content), 'what was written is read')

  await fs.rename(join(path, 'a'), join(path, 'b'))
  await t.rejects(fs.stat(join(path, 'a')), { code: 'ENOENT' })
  await fs.truncate(join(path, 'b'), MIB)
  t.ok((await fs.readFile(join(path, 'b'))).equals(content.subarray(0, MIB)))

  await fs.utimes(join(path, 'b'), 1_000_000_000.25, 1_500_000_000.5)
  const { atimeMs, mtimeMs } = await fs.stat(join(path, 'b'))
  t.equal(atimeMs, 1_000_000_000_250)
  t.equal(mtimeMs, 1_500_000_000_500)

  await fs.chmod(join(path, 'b'), 0o640)
  t.equal((await fs.stat(join(path, 'b'))).mode & 0o7777, 0o640)
  await fs.link(join(path, 'b'), join(path, 'c'))
  t.equal((await fs.stat(join(path, 'c'))).nlink, 2)
  await fs.symlink('b', join(path, 'link'))
  t.equal(await fs.readlink(join(path, 'link')), 'b')

  const file = await fs.open(join(path, 'b'), 'r+')
  await file.sync()
  await file.close()
  await fs.unlink(join(path, 'b'))
  await fs.unlink(join(path, 'c'))

  const { bavail, blocks } = await fs.statfs(path)
  t.equal(blocks, 1000)
  t.equal(bavail, 400)
  t.equal(filesystem.readsHeld, 0, 'every read was released')
  t.ok(mount.statistics.bytesWritten >= content.length)
  t.ok(mount.statistics.bytesRead >= MIB)
  t.ok((mount.statistics.requestsByOpcode['write'] ?? 0) >= 5)
})

void t.test('names that are not UTF-8', { skip }, async t => {
  const { path } = await mounted(t)
  const name = Buffer.from([0x66, 0xff, 0xfe, 0x80])
  await fs.writeFile(Buffer.concat([Buffer.from(`${path}/`), name]), 'x')
  const [found] = await fs.readdir(path, { encoding: 'buffer' })
  t.ok(found?.equals(name))
  const long = join(path, 'n'.repeat(255))
  await fs.writeFile(long, 'x')
  t.equal((await fs.stat(long)).size, 1)
  await t.rejects(fs.writeFile(join(path, 'n'.repeat(256)), 'x'), { code: 'ENAMETOOLONG' })
})

void t.test('a large directory', { skip }, async t => {
  const { path, filesystem, mount } = await mounted(t)
  const directory = join(path, 'many')
  await fs.mkdir(directory)
  const names = Array.from({ length: 1000 }, (_, index) => `file-${index}`)
  await Promise.all(names.map(name => fs.writeFile(join(directory, name), '')))
  t.same((await fs.readdir(directory)).sort(), [...names].sort())
  const { stdout } = await run('ls', ['-lU', directory])
  t.equal(stdout.trim().split('\n').length, 1001, 'and with attributes')
  await t.rejects(fs.rmdir(directory), { code: 'ENOTEMPTY' })
  await fs.rm(directory, { recursive: true })

  await mount.unmount()
  t.equal(filesystem.openHandles, 0, 'nothing stays open')
})

void t.test(
  'references are given with each name that is seen, and come back to exactly 0',
  { skip },
  async t => {
    const { path, filesystem, mount } = await mounted(t)
    const names = Array.from({ length: 300 }, (_, index) => `planted-${index}`)
    for (const name of names) filesystem.plant(name, Buffer.alloc(1))
    const references = () =>
      [...filesystem.nodes.values()].filter(node => node.inode > 1).map(node => node.references)
    t.ok(references().every(count => count === 0))
    // Twice, by listing and by name: how many references that takes is the kernel's business.
    await run('ls', ['-l', path])
    await Promise.all(names.map(name => fs.stat(join(path, name))))
    t.ok(
      references().every(count => count > 0),
      'the kernel knows every file',
    )

    // A name that is dropped takes its inode with it, which the kernel then forgets.
    await Promise.all(names.map(name => mount.invalidateEntry(1, name)))
    const patience = Date.now() + 10_000
    while (references().some(count => count !== 0) && Date.now() < patience) await delay(10)
    t.same(
      references().filter(count => count !== 0),
      [],
      'what was given has come back, no more and no less',
    )
    const { requestsByOpcode } = mount.statistics
    t.ok((requestsByOpcode['forget'] ?? 0) + (requestsByOpcode['batch_forget'] ?? 0) > 0)
  },
)

void t.test('extended attributes', { skip }, async t => {
  const { path } = await mounted(t)
  const file = join(path, 'x')
  await fs.writeFile(file, '')
  // Node has no calls for them.
  const script = [
    'import os, sys',
    'f = sys.argv[1]',
    'os.setxattr(f, "user.a", b"1")',
    'os.setxattr(f, "user.b", b"x" * 60000)',
    'assert os.listxattr(f) == ["user.a", "user.b"]',
    'assert os.getxattr(f, "user.b") == b"x" * 60000',
    'os.removexattr(f, "user.a")',
    'assert os.listxattr(f) == ["user.b"]',
  ].join('\n')
  try {
    await run('python3', ['-c', script, file])
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      t.pass('no python3 to try them with')
      return
    }
    throw error
  }
})

void t.test('changes that come another way', { skip }, async t => {
  const { path, filesystem, mount } = await mounted(t)
  await t.rejects(fs.stat(join(path, 'planted')), { code: 'ENOENT' })
  filesystem.plant('planted', Buffer.from('abc'))
  await t.rejects(fs.stat(join(path, 'planted')), { code: 'ENOENT' }, 'the kernel remembers')
  await mount.invalidateEntry(1, 'planted')
  t.equal(await fs.readFile(join(path, 'planted'), 'latin1'), 'abc')

  const inode = (await fs.stat(join(path, 'planted'))).ino
  filesystem.setattr(inode, { sizeBytes: 1 })
  await mount.invalidateInode(inode)
  t.equal(await fs.readFile(join(path, 'planted'), 'latin1'), 'a')

  filesystem.unlink(1, 'planted')
  await mount.notifyDelete(1, inode, 'planted')
  await t.rejects(fs.stat(join(path, 'planted')), { code: 'ENOENT' })
})

void t.test(
  'the kernel keeps a listing until something in the directory changes',
  { skip },
  async t => {
    const { path, filesystem, mount } = await mounted(t)
    const asked = (): number =>
      ['readdir', 'readdirplus'].reduce(
        (sum, opcode) => sum + (mount.statistics.requestsByOpcode[opcode] ?? 0),
        0,
      )
    const directory = join(path, 'd')
    await fs.mkdir(directory)
    const names = Array.from(
      { length: 500 },
      (_, index) => `name-${String(index).padStart(3, '0')}`,
    )
    await Promise.all(names.map(name => fs.writeFile(join(directory, name), '')))
    t.same((await fs.readdir(directory)).sort(), names)
    const before = asked()
    for (let round = 0; round < 3; round += 1) {
      t.same((await fs.readdir(directory)).sort(), names)
    }
    t.equal(asked(), before, 'the daemon is not asked again')

    await fs.writeFile(join(directory, 'new'), '')
    t.same((await fs.readdir(directory)).sort(), [...names, 'new'], 'a new file is seen')
    await fs.rm(join(directory, 'new'))
    t.same((await fs.readdir(directory)).sort(), names, 'a deleted one is not')
    await fs.rename(join(directory, 'name-000'), join(path, 'name-000'))
    t.same((await fs.readdir(directory)).sort(), names.slice(1), 'nor one that is elsewhere')

    t.same((await fs.readdir(path)).sort(), ['d', 'name-000'])
    filesystem.plant('planted', Buffer.from('abc'))
    await mount.invalidateInode(1)
    t.same((await fs.readdir(path)).sort(), ['d', 'name-000', 'planted'], 'what came another way')
    const { requestsByOpcode } = mount.statistics
    t.equal(requestsByOpcode['opendir'], 1, 'since Linux 5.1 one is enough')
    t.equal(requestsByOpcode['releasedir'] ?? 0, 0)
  },
)

void t.test('unmounting', { skip }, async t => {
  await t.test('is refused while in use, unless forced', async t => {
    const { path, mount } = await mounted(t)
    const file = await fs.open(join(path, 'open'), 'w')
    await t.rejects(mount.unmount(), { code: 'EBUSY' })
    await file.write('still works')
    await mount.unmount({ force: true })
    await t.rejects(file.write('cut off'))
    await file.close().catch(() => undefined)
    t.same(await fs.readdir(path), [])
  })

  await t.test(
    'by umount -l while a file is open',
    { skip: isRoot ? false : 'needs root' },
    async t => {
      const { path, mount } = await mounted(t)
      // Another process holds the file. Were it this one, starting a program would never end: the new process closes
      // the file before it runs, which asks us, while we wait in this thread for it to run.
      const script =
        'exec 3>"$0/open"; echo opened; read line; echo "$line" >&3; exec 3>&-; echo closed'
      const holder = spawn('sh', ['-c', script, path], { stdio: ['pipe', 'pipe', 'inherit'] })
      const [opened] = (await once(holder.stdout, 'data')) as [Buffer]
      t.equal(opened.toString(), 'opened\n')
      await run('umount', ['-l', path])
      holder.stdin.end('the detached mount lives on\n')
      await mount.closed
      await mount.unmount()
      t.equal(mount.statistics.requestsByOpcode['write'], 1)
    },
  )

  await t.test('twice is fine', async t => {
    const { mount } = await mounted(t)
    await Promise.all([mount.unmount(), mount.closed])
    await mount.unmount()
    await mount.invalidateEntry(1, 'nothing to tell any more')
  })
})

void t.test('mount points', { skip }, async t => {
  const { path } = await mounted(t)
  const filesystem = new MemoryFilesystem()
  await t.rejects(mountFilesystem({ mountPoint: path }, filesystem), { code: 'MOUNT_POINT_BUSY' })
  await t.rejects(mountFilesystem({ mountPoint: '/nowhere' }, filesystem), {
    code: 'MOUNT_POINT_MISSING',
  })
  await t.rejects(mountFilesystem({ mountPoint: '/dev/null' }, filesystem), {
    code: 'MOUNT_POINT_NOT_DIRECTORY',
  })
})
