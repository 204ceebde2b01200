import { mkdtemp, open, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { openCommitNote } from '../../src/daemon/commit-note.ts'

const SLOT_BYTES = 4096

async function pathOf(test: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-note-'))
  test.teardown(() => rm(directory, { recursive: true, force: true }))
  return join(directory, 'commit-note')
}

async function found(path: string): Promise<number | undefined> {
  const note = await openCommitNote(path)
  await note.close()
  return note.found
}

async function patch(path: string, at: number, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(bytes, 0, bytes.length, at)
  await file.close()
}

t.test('a new note says nothing and has its full size already', async t => {
  const path = await pathOf(t)
  t.equal(await found(path), undefined)
  t.equal((await stat(path)).size, 2 * SLOT_BYTES)
  t.equal(await found(path), undefined)
})

t.test('the greatest number is found, and a torn slot leaves the one before', async t => {
  const path = await pathOf(t)
  const note = await openCommitNote(path)
  for (const sequence of [41, 42, 43]) await note.write(sequence)
  await note.sync()
  await note.close()
  t.equal(await found(path), 43)
  await patch(path, SLOT_BYTES + 16, Buffer.of(0xff))
  t.equal(await found(path), 42)
  await patch(path, 0, Buffer.of(0))
  t.equal(await found(path), undefined)
})

t.test('an unknown version is refused', async t => {
  const path = await pathOf(t)
  const note = await openCommitNote(path)
  await note.write(2)
  await note.close()
  await patch(path, 8, Buffer.of(9))
  await t.rejects(openCommitNote(path), { code: 'UNKNOWN_VERSION' })
})

t.test('whatever bytes are there, a number is only found where one was written', async t => {
  const path = await pathOf(t)
  const note = await openCommitNote(path)
  await note.write(7)
  await note.close()
  await fc.assert(
    fc.asyncProperty(
      fc.nat(2 * SLOT_BYTES - 32),
      fc.uint8Array({ minLength: 1, maxLength: 32 }),
      async (at, bytes) => {
        await patch(path, at, bytes)
        const number = await found(path).catch((error: { code?: string }) => error.code)
        return number === undefined || number === 7 || number === 'UNKNOWN_VERSION'
      },
    ),
    { numRuns: 100 },
  )
  t.pass()
})
