// The metadata is lost, damaged or an older one: the start refuses with the command to run, the recovery brings back what
// the last copy knew, and the store goes on. On real mounts, with a clear and an encrypted group.

import { cp, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { mountSkipReason, shell, startedCoffer, tool } from '../helpers/mounted.ts'
import type { MountedCoffer } from '../helpers/mounted.ts'
import { contentOf, sha256 } from '../helpers/open-store.ts'

interface Report {
  readonly source: string
  readonly sequence: number
  readonly lastSequence: number
  readonly writtenAt: string | null
  readonly lostFileCount: number
  readonly lostFiles: { inode: number; bytes: number }[]
  readonly keptAside: string | null
  readonly extents: number
}

const CONTAINERS = ['clear', 'sealed'] as const
const FILES = 12

async function newCoffer(t: Parameters<typeof startedCoffer>[0]): Promise<MountedCoffer> {
  const coffer = await startedCoffer(t, 'clear')
  const passphrase = join(coffer.base, 'passphrase')
  await writeFile(passphrase, 'correct horse')
  await coffer.coffer('storage-group', 'add', 'vault', '--compression', 'best')
  const file = ['--passphrase-file', passphrase]
  await coffer.coffer('storage-group', 'set-passphrase', 'vault', ...file)
  await coffer.coffer('storage-group', 'encryption', 'vault', '--set', 'on', '--yes')
  await coffer.coffer('container', 'add', 'sealed', '--group', 'vault')
  return coffer
}

function unlocking(coffer: MountedCoffer): string[] {
  return ['--passphrase-file', `vault=${join(coffer.base, 'passphrase')}`]
}

/** Writes a tree into both containers. @returns path => hash */
async function writeTrees(coffer: MountedCoffer, name: string): Promise<Map<string, string>> {
  const hashes = new Map<string, string>()
  for (const container of CONTAINERS) {
    const directory = join(coffer.mount, container, name, 'deep', 'er')
    await mkdir(directory, { recursive: true })
    for (let index = 0; index < FILES; index++) {
      const path = join(directory, `f${index}`)
      const content = contentOf(index + name.length, 1000 * 3 ** (index % 8))
      await writeFile(path, content)
      hashes.set(path, sha256(content))
    }
    await tool('ln', '-sfn', 'f1', join(directory, 'link'))
    await tool('setfattr', '-n', 'user.origin', '-v', name, join(directory, 'f0')).catch(() => '')
    await tool('touch', '-d', '@1000000000.5', join(directory, 'f1'))
  }
  await tool('sync', '-f', coffer.mount)
  return hashes
}

async function checkTrees(t: Test, hashes: ReadonlyMap<string, string>): Promise<void> {
  const wrong: string[] = []
  for (const [path, hash] of hashes) {
    const found = await readFile(path).then(sha256, (error: Error) => error.message)
    if (found !== hash) wrong.push(`${path}: ${found}`)
  }
  t.same(wrong, [], `${hashes.size} files read as they were written`)
}

/** Paths, modes, times, sizes and targets of everything on the mount. */
function listing(coffer: MountedCoffer): Promise<string> {
  return shell(`cd ${coffer.mount} && find . -printf '%P %i %m %T@ %s %l\\n' | sort`)
}

function recover(coffer: MountedCoffer, ...options: string[]): Promise<Report> {
  return coffer.json<Report>('recover', '--store', coffer.store, ...options)
}

async function refuses(t: Test, coffer: MountedCoffer): Promise<void> {
  const message = new RegExp(`coffer recover --store ${coffer.store} --dry-run`)
  await t.rejects(coffer.start(), { message }, 'the start names the command to run')
}

t.test(
  'metadata that is gone after a clean stop comes back whole',
  { skip: mountSkipReason },
  async t => {
    const coffer = await newCoffer(t)
    const hashes = await writeTrees(coffer, 'first')
    const before = await listing(coffer)
    await t.rejects(recover(coffer), { message: /coffer stop/ }, 'not while it is open')
    await coffer.stop()
    await t.rejects(
      coffer.coffer('recover', '--store', coffer.store),
      { message: /there is nothing to recover/ },
      'a whole store is left alone',
    )
    await rm(join(coffer.store, 'metadata'), { recursive: true })
    await refuses(t, coffer)

    const plan = await recover(coffer, '--dry-run')
    t.match(plan, { source: 'copy', lostFileCount: 0, keptAside: null })
    t.equal(plan.sequence, plan.lastSequence, 'not a commit is missing')
    await refuses(t, coffer)
    await recover(coffer)
    await coffer.start(...unlocking(coffer))
    t.equal(await listing(coffer), before)
    await checkTrees(t, hashes)

    const physical = async (): Promise<number> =>
      (await coffer.json<{ physicalBytes: number }>('stats', 'system')).physicalBytes
    const bytes = await physical()
    const again = await writeTrees(coffer, 'again')
    t.equal(await physical(), bytes, 'what was stored is found, also in the encrypted group')
    const text = await coffer.coffer('maintenance', 'rebuild-index', '--wait')
    t.match(
      text,
      / 0 entries were added, 0 corrected, 0 removed, 0 block records corrected; 0 regions/,
    )
    await coffer.coffer('maintenance', 'reclaim-space', '--wait')
    await checkTrees(t, new Map([...hashes, ...again]))
    // The copy goes on after a recovery.
    await coffer.stop()
    await rm(join(coffer.store, 'metadata'), { recursive: true })
    await recover(coffer)
    await coffer.start(...unlocking(coffer))
    await checkTrees(t, new Map([...hashes, ...again]))
  },
)

t.test(
  'an older LevelDB, and a kill: up to the last copy all is there',
  { skip: mountSkipReason },
  async t => {
    const coffer = await newCoffer(t)
    const first = await writeTrees(coffer, 'first')
    await coffer.stop()
    const metadata = join(coffer.store, 'metadata')
    const older = join(coffer.base, 'older')
    await cp(metadata, older, { recursive: true })
    await coffer.start(...unlocking(coffer))
    const second = await writeTrees(coffer, 'second')
    await rm(join(coffer.mount, 'clear', 'first'), { recursive: true })
    await coffer.stop()
    await coffer.start(...unlocking(coffer))
    // This one is not in a copy when the daemon is killed, or just about.
    await writeTrees(coffer, 'third')
    await coffer.kill()

    const lost = join(coffer.base, 'lost')
    await rename(metadata, lost)
    await cp(older, metadata, { recursive: true })
    await refuses(t, coffer)
    const report = await recover(coffer)
    t.match(report, { source: 'copy', lostFileCount: 0 })
    t.ok(report.sequence <= report.lastSequence)
    t.match(report.keptAside, /metadata\.lost-/)
    t.ok((await readdir(report.keptAside ?? '')).includes('CURRENT'), 'the old one is kept')
    await coffer.start(...unlocking(coffer))
    const deleted = join(coffer.mount, 'clear', 'first')
    await checkTrees(
      t,
      new Map([...second, ...[...first].filter(([path]) => !path.startsWith(deleted))]),
    )
    t.notOk(
      (await readdir(join(coffer.mount, 'clear'))).includes('first'),
      'what was deleted stays so',
    )
  },
)

t.test(
  'a LevelDB that is damaged, and a block file that is gone: EIO there, and said before',
  { skip: mountSkipReason },
  async t => {
    const coffer = await newCoffer(t)
    const hashes = await writeTrees(coffer, 'first')
    await coffer.stop()
    const metadata = join(coffer.store, 'metadata')
    for (const name of await readdir(metadata)) {
      if (!/\.(log|ldb)$/.test(name)) continue
      const file = await open(join(metadata, name), 'r+')
      const { size } = await file.stat()
      for (let at = 0; at < size; at += 512) await file.write(Buffer.from('damage'), 0, 6, at)
      await file.close()
    }
    await refuses(t, coffer)
    const gone = (
      await shell(`find ${coffer.store}/blocks/1 -name '*.blk' | sort | head -1`)
    ).trim()
    await rm(gone)
    const plan = await recover(coffer, '--dry-run')
    t.ok(plan.lostFileCount >= FILES, `${plan.lostFileCount} files`)
    await recover(coffer)
    await coffer.start(...unlocking(coffer))
    const sealed = [...hashes].filter(([path]) => path.includes('/sealed/'))
    await checkTrees(t, new Map(sealed))
    for (const [path] of hashes) {
      if (path.includes('/clear/')) await t.rejects(readFile(path), { code: 'EIO' }, path)
    }
    // Writing the same again heals it.
    const again = await writeTrees(coffer, 'first')
    await checkTrees(t, again)
  },
)
