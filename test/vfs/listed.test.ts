// Lookups that follow a listing are answered from what it has read, and never from what has changed since.

import fc from 'fast-check'
import { test } from 'tap'
import type { Vfs } from '../../src/vfs/vfs.ts'
import { CALLER, makeWorld, NO_FLAGS, touch } from './fakes.ts'
import { SlowMetadata } from './slow-metadata.ts'

const NAMES = 'abcdefghij'.split('')
/** Far fewer than there are files: what isn't in use is let go all the time. */
const CACHED_INODES_MAX = 2

async function listed(vfs: Vfs, directory: number): Promise<void> {
  for (let cookie = 0; ;) {
    const last = (await vfs.readdir(directory, cookie, 100, true)).at(-1)
    if (last === undefined) break
    cookie = last.cookie
  }
}

test('what was listed is looked up without asking the metadata', async t => {
  const metadata = new SlowMetadata()
  const world = await makeWorld({ metadata })
  const { top, committer } = world
  committer.metadata = metadata
  for (const name of NAMES) touch(world.vfs, top, name)
  await committer.commit()
  await world.restart()
  await listed(world.vfs, top)
  const before = metadata.gets
  for (const name of NAMES) t.equal(world.vfs.lookup(top, name)?.attributes.linkCount, 1)
  t.equal(metadata.gets, before)
  t.equal(world.vfs.lookup(top, 'nothing'), undefined)
  t.equal(metadata.gets, before + 1, 'what was not there is asked for')
})

const name = fc.constantFrom(...NAMES)
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('list') }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('go on') }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('commit') }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('unlink'), name }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('make'), name }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rename'), name, to: name }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('chmod'), name, mode: fc.nat(0o777) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('look'), name }) },
)
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

interface Known {
  readonly inode: number
  mode: number
}

async function history(steps: readonly Step[]): Promise<void> {
  const metadata = new SlowMetadata()
  const world = await makeWorld({ metadata, cachedInodesMax: CACHED_INODES_MAX })
  const { top, committer } = world
  committer.metadata = metadata
  const model = new Map<string, Known>()
  const make = (made: string): void => {
    model.set(made, { inode: touch(world.vfs, top, made), mode: 0o644 })
  }
  for (const each of NAMES.slice(0, 7)) make(each)
  await committer.commit()
  await world.restart()
  const { vfs } = world
  metadata.isSlow = true
  let committing = Promise.resolve()
  committer.durable = () => metadata.turn()

  const look = (wanted: string): void => {
    const found = vfs.lookup(top, wanted)?.attributes
    if (found !== undefined) vfs.forget(found.inode, 1)
    const known = model.get(wanted)
    if (found?.inode !== known?.inode) throw new Error(`${wanted} is ${found?.inode}`)
    if (found !== undefined && (found.mode & 0o777) !== known?.mode) {
      throw new Error(`the mode of ${wanted} is an old one`)
    }
  }
  const running: Promise<unknown>[] = []
  for (const current of steps) {
    if (current.kind === 'list') running.push(listed(vfs, top))
    else if (current.kind === 'go on') await metadata.goOn()
    else if (current.kind === 'commit') committing = committing.then(() => committer.commit())
    else if ('name' in current) {
      const known = model.get(current.name)
      if (current.kind === 'look') look(current.name)
      else if (current.kind === 'make') {
        if (known === undefined) make(current.name)
      } else if (known === undefined) continue
      else if (current.kind === 'unlink') {
        vfs.unlink(top, current.name)
        model.delete(current.name)
      } else if ('to' in current) {
        vfs.rename(top, current.name, top, current.to, NO_FLAGS, CALLER)
        if (current.to !== current.name) {
          model.delete(current.name)
          model.set(current.to, known)
        }
      } else if ('mode' in current) {
        known.mode = current.mode
        await vfs.setattr(known.inode, { mode: current.mode })
      }
    }
    // What is too much is let go of between two requests.
    await new Promise(resolve => setImmediate(resolve))
  }
  for (const each of NAMES) look(each)
  await metadata.hurry()
  await Promise.all([committing, ...running])
  for (const each of NAMES) look(each)
}

test('a listing never hides what has changed since', async t => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 100 }), history), {
    numRuns: 500,
  })
  t.pass()
})
