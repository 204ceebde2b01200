// What a commit waits for: data that takes the place of older data, and nothing else.

import t from 'tap'
import type { FileContent } from '../../src/vfs/content.ts'
import type { Inode } from '../../src/vfs/inode.ts'
import { Successors } from '../../src/vfs/successors.ts'

interface FakeFile {
  readonly inode: Inode
  readonly content: { hasUnflushedData: boolean }
  open: boolean
}

function fileOf(linkCount = 1): FakeFile {
  const content = { hasUnflushedData: true }
  const inode = { content, linkCount, pins: 0 } as unknown as Inode
  return {
    inode,
    content,
    get open() {
      return inode.pins > 0
    },
    set open(isOpen) {
      inode.pins = isOpen ? 1 : 0
    },
  }
}

/** Stores when the test says so. */
class SlowStore {
  readonly flushes: { contents: readonly FileContent[]; end: () => void }[] = []

  flush(contents: readonly FileContent[]): Promise<void> {
    return new Promise(resolve => {
      const end = (): void => {
        for (const each of contents)
          (each as { hasUnflushedData: boolean }).hasUnflushedData = false
        resolve()
      }
      this.flushes.push({ contents, end })
    })
  }
}

t.test('a file that took the place of another one is stored first, once', async t => {
  const store = new SlowStore()
  const successors = new Successors(store)
  t.equal(successors.settle(), undefined, 'nothing has been replaced')
  const file = fileOf()
  file.open = true
  successors.renamed(file.inode)
  const settled = successors.settle()
  t.equal(store.flushes.length, 1)
  store.flushes[0]?.end()
  await settled
  file.content.hasUnflushedData = true
  t.equal(successors.settle(), undefined, 'what is written later is an ordinary change')
})

t.test('stored, deleted and unchanged files are not waited for', async t => {
  const successors = new Successors(new SlowStore())
  const stored = fileOf()
  stored.content.hasUnflushedData = false
  const deleted = fileOf(0)
  for (const { inode } of [stored, deleted]) {
    successors.renamed(inode)
    successors.rewritten(inode)
  }
  t.equal(successors.settle(), undefined)
})

t.test('a file that was cut off is waited for when nobody has it open any more', async t => {
  const store = new SlowStore()
  const successors = new Successors(store)
  const file = fileOf()
  file.open = true
  successors.rewritten(file.inode)
  t.equal(successors.settle(), undefined)
  file.open = false
  const settled = successors.settle()
  t.equal(store.flushes.length, 1)
  store.flushes[0]?.end()
  await settled
  t.equal(successors.settle(), undefined)
})

t.test('whoever replaces faster than that can be stored waits for the commit', async t => {
  const store = new SlowStore()
  const successors = new Successors(store)
  successors.renamed(fileOf().inode)
  const settled = successors.settle()
  let waited = 0
  for (let round = 0; successors.admitted() === undefined; round++) {
    if (round > 10) throw new Error('it never ends')
    successors.renamed(fileOf().inode)
    store.flushes.at(-1)?.end()
    await new Promise(setImmediate)
    waited = round
  }
  t.ok(waited < 5)
  let isAdmitted = false
  void successors.admitted()?.then(() => {
    isAdmitted = true
  })
  store.flushes.at(-1)?.end()
  await settled
  t.equal(successors.settle(), undefined)
  await new Promise(setImmediate)
  t.notOk(isAdmitted, 'the commit has not been collected')
  successors.collected()
  await new Promise(setImmediate)
  t.ok(isAdmitted)
  t.equal(successors.admitted(), undefined)
})

t.test('a disk that stores nothing holds no commit for ever', async t => {
  const successors = new Successors(new SlowStore(), 20)
  successors.renamed(fileOf().inode)
  const beforeMs = performance.now()
  const held = setTimeout(() => undefined, 10_000)
  await successors.settle()
  clearTimeout(held)
  t.ok(performance.now() - beforeMs < 5000)
  t.not(
    successors.admitted(),
    undefined,
    'nothing more takes the place of anything before the commit',
  )
})
