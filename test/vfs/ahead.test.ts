// Walks through a tree: the next directories are read before they are asked for, and what has changed since is never missed.

import fc from 'fast-check'
import { test } from 'tap'
import { Walks } from '../../src/vfs/walks.ts'
import { S_IFDIR, S_IFREG } from '../../src/vfs/linux.ts'
import type { Vfs } from '../../src/vfs/vfs.ts'
import { later, list, makeDirectory, makeWorld, touch } from './fakes.ts'
import { SlowMetadata } from './slow-metadata.ts'

const ROOT = 1
const TOP = 2

/** `c0` to `c9`, as inodes 10 to 19, listed in the order of 0, 3, 6, 9, 2, ... */
const entries = Array.from({ length: 10 }, (_, index) => {
  const number = (index * 3) % 10
  return { name: `c${number}`, inode: 10 + number, type: S_IFDIR, cookie: 10 + index }
})
const file = { name: 'f', inode: 30, type: S_IFREG, cookie: 30 }

test('a walk in the order of the listing, or of the names, is foreseen', async t => {
  const walks = new Walks()
  t.same(walks.listed(TOP, ROOT, [...entries, file]), [], 'it may be no walk at all')
  t.same(walks.opened(99, TOP), [], 'a directory that came later')
  t.same(walks.opened(13, TOP), [16, 19, 12, 15, 14, 17], 'both are possible')
  t.same(walks.opened(16, TOP), [19, 12, 15, 18, 11, 14, 17])
  t.same(walks.opened(19, TOP), [12, 15, 18, 11, 14, 17])
  walks.listed(TOP, ROOT, entries)
  walks.opened(10, TOP)
  t.same(walks.opened(11, TOP), [12, 13, 14, 15, 16, 17, 18, 19])
  t.same(walks.opened(19, TOP), [12, 15, 18, 11], 'a leap')
})

test('who goes on in a directory below is expected to do so there', async t => {
  const walks = new Walks()
  walks.listed(TOP, ROOT, entries)
  t.same(walks.listed(13, TOP, [{ name: 'x', inode: 40, type: S_IFDIR, cookie: 9 }]), [40])
  t.same(walks.listed(14, TOP, [file]), [])
})

test('walks are forgotten before they are too many', async t => {
  const walks = new Walks()
  walks.listed(TOP, ROOT, entries)
  for (let other = 100; other < 116; other++) walks.listed(other, ROOT, entries)
  t.same(walks.opened(10, TOP), [])
  t.not(walks.opened(10, 115).length, 0)
})

/** Directories of a container, each with files, all of them out of memory. */
async function makeTree(count: number) {
  const metadata = new SlowMetadata()
  const world = await makeWorld({ metadata })
  world.committer.metadata = metadata
  const directories = Array.from({ length: count }, (_, index) => {
    const directory = makeDirectory(world.vfs, world.top, `d${index}`)
    for (let each = 0; each < 5; each++) touch(world.vfs, directory, `f${each}`)
    return directory
  })
  await world.committer.commit()
  await world.restart()
  return { world, metadata, directories }
}

test('what was read ahead is listed without asking again', async t => {
  const { world, metadata, directories } = await makeTree(6)
  const { vfs, top } = world
  await list(vfs, top)
  for (const directory of directories.slice(0, 2)) await list(vfs, directory)
  for (let turn = 0; turn < 20; turn++) await later()
  metadata.isSlow = true
  const listed = vfs.readdir(directories[2] ?? 0, 0, 100, true)
  t.notOk(listed instanceof Promise)
  t.equal((await listed).length, 7)
  await metadata.hurry()
})

const place = fc.nat(3)
const name = fc.constantFrom('f0', 'f1', 'f2', 'g0', 'g1')
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('list' as const), place }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('go on' as const), place }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('commit' as const), place }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('change' as const), place, name }) },
)
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

/** What a listing must show, and what it may. */
class Expectation {
  readonly must: Set<string>
  readonly may: Set<string>

  constructor(names: Iterable<string>) {
    this.must = new Set(names)
    this.may = new Set(this.must)
  }

  check(found: readonly string[], directory: number): void {
    const names = found.filter(each => each !== '.' && each !== '..')
    if (new Set(names).size !== names.length) throw new Error(`a name twice: ${names.join()}`)
    const missing = [...this.must].filter(each => !names.includes(each))
    const wrong = names.filter(each => !this.may.has(each))
    if (missing.length + wrong.length === 0) return
    throw new Error(`${directory}: without ${missing.join()}, but with ${wrong.join()}`)
  }
}

async function history(steps: readonly Step[]): Promise<void> {
  const { world, metadata, directories } = await makeTree(4)
  const { top, committer } = world
  const { vfs }: { vfs: Vfs } = world
  await list(vfs, top)
  const names = directories.map(() => new Set(['f0', 'f1', 'f2', 'f3', 'f4']))
  const expected = new Map<Expectation, number>()
  metadata.isSlow = true
  committer.durable = () => metadata.turn()
  let committing = Promise.resolve()
  const running: Promise<void>[] = []
  for (const { kind, place: at, ...rest } of steps) {
    const directory = directories[at] ?? 0
    const known = names[at] ?? new Set()
    if (kind === 'list') {
      const expectation = new Expectation(known)
      expected.set(expectation, at)
      running.push(
        list(vfs, directory).then(found => {
          expected.delete(expectation)
          expectation.check(found, at)
        }),
      )
    } else if (kind === 'go on') await metadata.goOn()
    else if (kind === 'commit') committing = committing.then(() => committer.commit())
    else if ('name' in rest) {
      const during = [...expected].filter(([, where]) => where === at).map(([each]) => each)
      if (known.delete(rest.name)) {
        vfs.unlink(directory, rest.name)
        for (const each of during) each.must.delete(rest.name)
      } else {
        touch(vfs, directory, rest.name)
        known.add(rest.name)
        for (const each of during) each.may.add(rest.name)
      }
    }
    await later()
  }
  await metadata.hurry()
  await Promise.all([committing, ...running])
  for (const [at, directory] of directories.entries()) {
    new Expectation(names[at] ?? []).check(await list(vfs, directory), at)
  }
}

test('a listing shows what was there all the time, and nothing that never was', async t => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), history), {
    numRuns: 500,
  })
  t.pass()
})
