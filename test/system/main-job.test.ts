// The main job on a real mount with real tools: write, deduplicate, read back, survive a restart. COFFER_TREES=all copies
// more files, and a bigger one.

import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { open, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import {
  mountSkipReason,
  startedCoffer,
  type MountedCoffer,
  shell,
  tool,
} from '../helpers/mounted.ts'

const skip = mountSkipReason
const IS_LONG = process.env['COFFER_TREES'] === 'all'
/** Real files of every size, with symlinks and hard links: some 9,000 on a developer's Debian machine. */
const TREES = ['/usr/share/doc', '/usr/lib/python3']
/** 30,000 more, each as small. */
const MORE_TREES = ['/usr/include', '/usr/share/man']
const REAL_TREES = [...TREES, ...(IS_LONG ? MORE_TREES : [])].filter(tree => existsSync(tree))
/** Many block files, of 64 MiB each. */
const BIG_FILE_BYTES = (IS_LONG ? 2 : 0.5) * 1024 ** 3

interface Stats {
  physicalBytes: number
  files: number
}

async function physicalBytes(coffer: MountedCoffer): Promise<number> {
  return (await coffer.json<Stats>('stats', 'system')).physicalBytes
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path, { highWaterMark: 1024 * 1024 }))
    hash.update(piece)
  return hash.digest('hex')
}

async function dropPageCache(): Promise<void> {
  await tool('sync')
  await writeFile('/proc/sys/vm/drop_caches', '3')
}

t.test(
  'a real tree: cp -a, rsync finds no difference, a second copy is nearly free',
  { skip },
  async t => {
    const coffer = await startedCoffer(t, 'first', 'second')
    const first = join(coffer.mount, 'first')
    const second = join(coffer.mount, 'second')
    const differences = (copy: string): Promise<string> =>
      tool('rsync', '-aHAX', '--checksum', '--dry-run', '--itemize-changes', ...REAL_TREES, copy)

    await tool('cp', '-a', ...REAL_TREES, first)
    t.equal(await differences(first), '', 'the first copy is equal')
    await tool('sync', '-f', first)
    const onceBytes = await physicalBytes(coffer)
    t.ok(onceBytes > 0)

    await tool('cp', '-a', ...REAL_TREES, second)
    await tool('sync', '-f', second)
    const twiceBytes = await physicalBytes(coffer)
    t.ok(
      twiceBytes < onceBytes * 1.02,
      `the second copy adds ${twiceBytes - onceBytes} of ${onceBytes}`,
    )
    t.equal(await differences(second), '', 'the second copy is equal')

    await coffer.stop()
    t.same(await readdir(coffer.mount), [], 'unmounted')
    await coffer.start()
    t.equal(await differences(first), '', 'the first copy is equal after a restart')
    t.equal(await differences(second), '', 'the second copy is equal after a restart')
    const transferred = await tool('rsync', '-a', '--itemize-changes', ...REAL_TREES, first)
    t.equal(transferred, '', 'rsync has nothing to transfer')
  },
)

t.test('a big file of random bytes, and one byte in front of a tar', { skip }, async t => {
  const coffer = await startedCoffer(t, 'big')
  const container = join(coffer.mount, 'big')
  const source = join(coffer.base, 'random')
  await shell(`head -c ${BIG_FILE_BYTES} /dev/urandom > ${source}`)
  await tool('dd', `if=${source}`, `of=${container}/random`, 'bs=1M', 'conv=fsync')
  await dropPageCache()
  t.equal(await sha256(join(container, 'random')), await sha256(source))

  const tar = join(coffer.base, 'real.tar')
  // tar ends with SIGPIPE when it has made enough.
  await shell(
    `(tar -cf - /usr/lib /usr/share 2>/dev/null || true) | head -c ${BIG_FILE_BYTES} > ${tar}`,
  )
  await tool('cp', tar, join(container, 'real.tar'))
  await tool('sync', '-f', container)
  const before = await physicalBytes(coffer)
  await shell(`(printf x; cat ${tar}) > ${container}/shifted.tar`)
  await tool('sync', '-f', container)
  const grown = (await physicalBytes(coffer)) - before
  const tarBytes = (await stat(tar)).size
  t.ok(grown < tarBytes * 0.03, `one byte in front adds ${grown} of ${tarBytes}`)
  await dropPageCache()
  t.equal(await sha256(join(container, 'real.tar')), await sha256(tar))
  t.equal(await shell(`tail -c +2 ${container}/shifted.tar | cmp - ${tar} && echo same`), 'same\n')
})

t.test(
  'overwrites, truncation, holes, links and names read back after a restart',
  { skip },
  async t => {
    const coffer = await startedCoffer(t, 'c')
    const at = (name: string): string => join(coffer.mount, 'c', name)
    const data = randomBytes(3_000_000)
    await writeFile(at('file'), data)
    const file = await open(at('file'), 'r+')
    for (const offset of [0, 5, 40_000, 1_000_001, 2_999_990]) {
      const patch = randomBytes(10)
      patch.copy(data, offset)
      await file.write(patch, 0, patch.length, offset)
    }
    await file.sync()
    await file.close()
    await tool('truncate', '-s', '2500000', at('file'))
    await tool('truncate', '-s', '4000000', at('file'))
    const expected = Buffer.concat([data.subarray(0, 2_500_000), Buffer.alloc(1_500_000)])
    await tool('ln', at('file'), at('hard'))
    await tool('ln', '-s', 'file', at('soft'))
    await tool('touch', '-d', '2001-02-03 04:05:06.123456789 UTC', at('file'))
    await tool('setfattr', '-n', 'user.note', '-v', 'kept', at('file'))
    await t.rejects(writeFile(at('n'.repeat(256)), ''), { code: 'ENAMETOOLONG' })
    await t.rejects(tool('mv', '-T', join(coffer.mount, 'c'), join(coffer.mount, 'd')))
    await t.rejects(tool('mkdir', join(coffer.mount, 'no-container')))

    const check = async (): Promise<void> => {
      t.ok((await readFile(at('file'))).equals(expected), 'contents')
      t.ok((await readFile(at('soft'))).equals(expected), 'through the symlink')
      t.equal((await stat(at('hard'))).nlink, 2)
      t.match(await tool('stat', '-c', '%y', at('file')), /04:05:06\.123456789/)
      t.match(await tool('getfattr', '--only-values', '-n', 'user.note', at('file')), /^kept$/)
    }
    await check()
    await coffer.stop()
    await coffer.start()
    await check()
  },
)

t.test(
  'a second daemon on the store, a busy mount point, a foreign directory: clear refusals',
  { skip },
  async t => {
    const coffer = await startedCoffer(t)
    const other = join(coffer.base, 'other.sock')
    const start = (store: string, mount: string): Promise<string> =>
      shell(
        `${process.execPath} ${join(import.meta.dirname, '../../src/cli/main.js')} start --store ${store} --mount ${mount} --socket ${other}`,
      )
    await t.rejects(start(coffer.store, join(coffer.base, 'mnt2')), {
      message: /Another daemon has the store/,
    })
    await t.rejects(start(join(coffer.base, 'store2'), coffer.mount), { message: /mount/i })
    await writeFile(join(coffer.base, 'plain'), '')
    await t.rejects(start(join(coffer.base, 'store3'), join(coffer.base, 'plain')), {
      message: /director/i,
    })
    await tool('mkdir', join(coffer.base, 'used'))
    await writeFile(join(coffer.base, 'used', 'something'), '')
    await t.rejects(start(join(coffer.base, 'used'), join(coffer.base, 'mnt2')), {
      message: /neither a coffer store nor empty/,
    })
    await tool('mkdir', join(coffer.base, 'future'))
    await writeFile(join(coffer.base, 'future', 'FORMAT'), 'coffer store 9\n')
    await t.rejects(start(join(coffer.base, 'future'), join(coffer.base, 'mnt2')), {
      message: /coffer store 9/,
    })
  },
)

t.test(
  'a damaged block file: EIO on the file, an alert, all others readable',
  { skip },
  async t => {
    const coffer = await startedCoffer(t, 'c')
    const at = (name: string): string => join(coffer.mount, 'c', name)
    await tool('dd', 'if=/dev/urandom', `of=${at('a')}`, 'bs=1M', 'count=2', 'conv=fsync')
    await tool('dd', 'if=/dev/urandom', `of=${at('b')}`, 'bs=1M', 'count=2', 'conv=fsync')
    const good = await sha256(at('a'))
    await coffer.stop()
    const [block] = (await shell(`find ${coffer.store}/blocks -name '*.blk'`)).trim().split('\n')
    if (block === undefined) throw new Error('there is no block file')
    const file = await open(block, 'r+')
    const sizeBytes = (await file.stat()).size
    // The last region belongs to b.
    const place = sizeBytes - 50_000
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, place)
    buffer[0] = (buffer[0] ?? 0) ^ 0x10
    await file.write(buffer, 0, 1, place)
    await file.close()
    await coffer.start()
    t.equal(await sha256(at('a')), good)
    await t.rejects(readFile(at('b')), { code: 'EIO' })
    const { alerts } = await coffer.json<{ alerts: { code: string }[] }>('alerts', 'show')
    const codes = new Set(alerts.map(({ code }) => code))
    t.ok(codes.has('DAMAGED_BLOCK') && codes.has('DAMAGED_FILE'), 'both are alerts')
  },
)
