// Random operations on names, compared with a simple model after each, with commits and crashes in between: after a
// crash exactly the last commit is there.

import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { CALLER, failure, list, makeWorld, numberOf, type World } from './fakes.ts'
import { MODEL_TOP, TreeModel } from './tree-model.ts'

const RUNS = 200
const OPERATIONS_MAX = 60
const SMALL_CACHE = 5

const FLAGS = ['none', 'noReplace', 'exchange'] as const
const name = fc.constantFrom('a', 'b', 'c', 'd')
/** picks one of the directories that are there */
const directory = fc.nat(50)
const permissions = fc.constantFrom(0o600, 0o644, 0o755)

const operation = fc.oneof(
  fc.record({ kind: fc.constant('mkdir' as const), directory, name, permissions }),
  fc.record({ kind: fc.constant('create' as const), directory, name, permissions }),
  fc.record({ kind: fc.constant('unlink' as const), directory, name }),
  fc.record({ kind: fc.constant('rmdir' as const), directory, name }),
  fc.record({ kind: fc.constant('chmod' as const), directory, name, permissions }),
  fc.record({ kind: fc.constant('link' as const), directory, name, to: directory, newName: name }),
  fc.record({
    kind: fc.constant('rename' as const),
    directory,
    name,
    to: directory,
    newName: name,
    flag: fc.constantFrom(...FLAGS),
  }),
  fc.record({ kind: fc.constant('commit' as const) }),
  fc.record({ kind: fc.constant('commit in the background' as const) }),
  fc.record({ kind: fc.constant('crash' as const) }),
)
type Operation = typeof operation extends fc.Arbitrary<infer Value> ? Value : never

class Comparison {
  readonly #world: World
  readonly #model = new TreeModel()
  #committed = structuredClone(this.#model.state)
  #commit: Promise<void> = Promise.resolve()

  constructor(world: World) {
    this.#world = world
  }

  async run(what: Operation): Promise<void> {
    const { committer } = this.#world
    switch (what.kind) {
      case 'commit':
        await this.#commit
        this.#committed = structuredClone(this.#model.state)
        await committer.commit()
        return
      case 'commit in the background':
        await this.#commit
        this.#committed = structuredClone(this.#model.state)
        this.#commit = committer.commit()
        return
      case 'crash':
        await this.#commit
        this.#model.state = structuredClone(this.#committed)
        await this.#world.restart()
        await this.compare()
        return
      default:
        await this.#change(what)
    }
  }

  async compare(): Promise<void> {
    let files = 0
    const seen = new Set<number>()
    for (const { path, id } of this.#model.directories()) {
      const { vfs } = this.#world
      const node = this.#model.node(id)
      const number = this.#inode(path)
      assert.deepEqual(await list(vfs, number), [...node.entries.keys()].sort())
      let subdirectories = 0
      for (const [entry, child] of node.entries) {
        const attributes = vfs.getattr(numberOf(vfs, number, entry) ?? 0)
        const expected = this.#model.node(child)
        if (expected.isDirectory) subdirectories++
        else assert.equal(attributes.linkCount, expected.links)
        assert.equal(attributes.mode & 0o7777, expected.mode)
        assert.equal((attributes.mode & 0o170000) === 0o040000, expected.isDirectory)
        if (!expected.isDirectory && !seen.has(child)) files++
        seen.add(child)
      }
      assert.equal(vfs.getattr(number).linkCount, 2 + subdirectories)
      if (path.length > 0) assert.equal(numberOf(vfs, number, '..'), this.#inode(path.slice(0, -1)))
    }
    assert.equal(this.#world.vfs.containerByName('c').fileCount, files)
    assert.deepEqual(this.#world.errors, [])
  }

  /** After everything has settled, nothing but what the model has is stored. */
  async finish(): Promise<void> {
    await this.#commit
    await new Promise(resolve => setImmediate(resolve))
    await this.#world.committer.commit()
    const { metadata } = this.#world
    const nodes = [...this.#model.state.nodes.values()]
    const names = nodes.reduce((sum, { entries }) => sum + entries.size, 0)
    assert.equal(metadata.count('I'), nodes.length + 1, 'inodes, and the root')
    assert.equal(metadata.count('D'), names + 1, 'names, and the container')
    assert.equal(metadata.count('O'), 0)
    await this.compare()
  }

  /** lets the cache evict between operations, too */
  async #pause(): Promise<void> {
    await new Promise(resolve => setImmediate(resolve))
  }

  async #change(what: Exclude<Operation, { kind: `commit${string}` | 'crash' }>): Promise<void> {
    const { vfs } = this.#world
    const model = this.#model
    const directories = model.directories()
    const pick = (index: number): { path: string[]; id: number } =>
      directories[index % directories.length] ?? { path: [], id: MODEL_TOP }
    const from = pick(what.directory)
    const parent = this.#inode(from.path)
    const found = numberOf(vfs, parent, what.name)
    let expected: string | undefined
    let actual: string | undefined
    switch (what.kind) {
      case 'mkdir':
        expected = model.make(from.id, what.name, true, what.permissions)
        actual = await failure(() =>
          this.#forget(vfs.mkdir(parent, what.name, what.permissions, CALLER)),
        )
        break
      case 'create':
        expected = model.make(from.id, what.name, false, what.permissions)
        actual = await failure(() =>
          this.#forget(vfs.mknod(parent, what.name, 0o100000 | what.permissions, 0, CALLER)),
        )
        break
      case 'unlink':
        expected = model.unlink(from.id, what.name)
        actual = await failure(() => vfs.unlink(parent, what.name))
        break
      case 'rmdir':
        expected = model.rmdir(from.id, what.name)
        actual = await failure(() => vfs.rmdir(parent, what.name))
        break
      case 'chmod': {
        const id = model.find(from.id, what.name)
        assert.equal(found === undefined, id === undefined)
        if (id === undefined || found === undefined) return
        model.node(id).mode = what.permissions
        await vfs.setattr(found, { mode: what.permissions })
        return
      }
      case 'link': {
        const to = pick(what.to)
        const newParent = this.#inode(to.path)
        expected = model.link(from.id, what.name, to.id, what.newName)
        actual = await failure(() =>
          this.#forget(vfs.link(found ?? Number.MAX_SAFE_INTEGER, newParent, what.newName)),
        )
        break
      }
      case 'rename': {
        const to = pick(what.to)
        const newParent = this.#inode(to.path)
        const flags = {
          noReplace: what.flag === 'noReplace',
          exchange: what.flag === 'exchange',
        }
        expected = model.rename(from.id, what.name, to.id, what.newName, what.flag)
        actual = await failure(() => vfs.rename(parent, what.name, newParent, what.newName, flags))
        break
      }
    }
    assert.equal(actual, expected, what.kind)
    await this.#pause()
  }

  #forget(entry: { attributes: { inode: number } }): void {
    this.#world.vfs.forget(entry.attributes.inode, 1)
  }

  #inode(path: readonly string[]): number {
    let at = this.#world.top
    for (const part of path) {
      const next = numberOf(this.#world.vfs, at, part)
      assert.ok(next !== undefined, `${path.join('/')} is there`)
      at = next
    }
    return at
  }
}

test('random operations with commits and crashes', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(operation, { maxLength: OPERATIONS_MAX, size: 'max' }),
      fc.boolean(),
      async (operations, hasSmallCache) => {
        const world = await makeWorld(hasSmallCache ? { cachedInodesMax: SMALL_CACHE } : {})
        const comparison = new Comparison(world)
        await world.committer.commit()
        for (const what of operations) await comparison.run(what)
        await comparison.compare()
        await comparison.finish()
      },
    ),
    { numRuns: RUNS },
  )
  t.pass()
})
