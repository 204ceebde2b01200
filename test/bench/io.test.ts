// The benchmark's own I/O: what it writes is what it says, and its checks find a single wrong byte.

import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { compareGeneration, writeGeneration } from '../../bench/io/generations.ts'
import { compareImage, overwrite } from '../../bench/io/image.ts'
import {
  compareContent,
  PAGE_BYTES,
  PIECE_BYTES,
  readThrough,
  writeContent,
} from '../../bench/io/pieces.ts'
import { randomNumbers } from '../../bench/io/random.ts'
import { createTree, deleteTree, readTree, statTree } from '../../bench/io/tree.ts'

const directory = mkdtempSync(join(tmpdir(), 'coffer-bench-io-'))
t.teardown(() => rmSync(directory, { recursive: true, force: true }))

const path = (name: string): string => join(directory, name)

function makeSource(name: string, bytes: number): string {
  const random = randomNumbers(1)
  const words = Uint32Array.from({ length: bytes / 4 }, () => random() * 2 ** 32)
  writeFileSync(path(name), words)
  return path(name)
}

/** Changes one bit of a file. */
function damage(file: string, at: number): void {
  const bytes = readFileSync(file)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  writeFileSync(file, bytes)
}

const source = makeSource('source', 2 * PIECE_BYTES)

t.test('content is the source, and with a stamp new in every page', async t => {
  const content = { source, startBytes: 0, lengthBytes: 2 * PIECE_BYTES, stamp: 0 }
  t.equal(writeContent(content, path('plain')), content.lengthBytes)
  t.ok(readFileSync(path('plain')).equals(readFileSync(source)))
  t.equal(readThrough(path('plain')), content.lengthBytes)

  writeContent({ ...content, stamp: 5 }, path('stamped'))
  const [plain, stamped] = [readFileSync(path('plain')), readFileSync(path('stamped'))]
  for (let at = 0; at < plain.length; at += PAGE_BYTES) {
    const page = [at, at + PAGE_BYTES] as const
    if (plain.subarray(...page).equals(stamped.subarray(...page))) t.fail(`page at ${at} is known`)
  }
  compareContent({ ...content, stamp: 5 }, path('stamped'))
  t.throws(() => compareContent({ ...content, stamp: 6 }, path('stamped')), /not what was written/)
})

t.test('content beyond the end of the source is no repetition', async t => {
  const content = { source, startBytes: PIECE_BYTES, lengthBytes: 4 * PIECE_BYTES, stamp: 0 }
  writeContent(content, path('long'))
  const bytes = readFileSync(path('long'))
  const lap = (index: number): Buffer =>
    bytes.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES)
  t.notOk(lap(0).equals(lap(2)))
  t.notOk(lap(1).equals(lap(3)))
  compareContent(content, path('long'))
  damage(path('long'), bytes.length - 1)
  t.throws(() => compareContent(content, path('long')), /not what was written/)
  truncateSync(path('long'), PIECE_BYTES)
  t.throws(() => compareContent(content, path('long')), /instead of/)
})

t.test('an overwritten image is compared write by write', async t => {
  const content = { source, startBytes: 0, lengthBytes: 4 * PIECE_BYTES, stamp: 1 }
  const journal = path('journal')
  writeContent(content, path('image'))
  const task = { path: path('image'), source, journal, fsyncEvery: 10, secondsMax: 60 }
  t.equal(overwrite({ ...task, writeBytes: 4096, count: 50, seed: 1 }), 50)
  t.equal(overwrite({ ...task, writeBytes: 65_536, count: 20, seed: 2 }), 20)
  t.equal(compareImage(content, path('image'), journal), content.lengthBytes)
  t.throws(() => compareContent(content, path('image')), /not what was written/, 'it was changed')

  const whole = readFileSync(journal)
  writeFileSync(journal, whole.subarray(0, -12))
  t.throws(() => compareImage(content, path('image'), journal), /not what was written/)
  writeFileSync(journal, whole)
  damage(path('image'), 3 * PIECE_BYTES + 17)
  t.throws(() => compareImage(content, path('image'), journal), /not what was written/)
})

t.test('overwriting ends when its time is over, and the journal knows', async t => {
  const content = { source, startBytes: 0, lengthBytes: 2 * PIECE_BYTES, stamp: 1 }
  const journal = path('short-journal')
  writeContent(content, path('short-image'))
  const task = { path: path('short-image'), source, journal, fsyncEvery: 10, writeBytes: 4096 }
  t.equal(overwrite({ ...task, count: 1000, secondsMax: 0, seed: 1 }), 0)
  t.equal(statSync(journal).size, 0)
  compareImage(content, path('short-image'), journal)
})

t.test('a generation differs from the one before in its share, and is checked', async t => {
  const generation = { source, lengthBytes: 2 * PIECE_BYTES, changed: 0.25 }
  const data = (number: number): Buffer => {
    const file = path(`generation-${number}`)
    const bytes = writeGeneration({ ...generation, number }, file)
    t.equal(compareGeneration({ ...generation, number }, file), bytes)
    return readFileSync(file).subarray(-generation.lengthBytes)
  }
  const first = data(1)
  const second = data(2)
  t.ok(first.equals(readFileSync(source)))
  let changedPages = 0
  for (let at = 0; at < first.length; at += PAGE_BYTES) {
    const page = [at, at + PAGE_BYTES] as const
    if (!first.subarray(...page).equals(second.subarray(...page))) changedPages += 1
  }
  const share = changedPages / (first.length / PAGE_BYTES)
  t.ok(share > 0.15 && share <= 0.25, `${share} changed`)
  t.throws(() => compareGeneration({ ...generation, number: 3 }, path('generation-2')))
  damage(path('generation-1'), 100)
  t.throws(() => compareGeneration({ ...generation, number: 1 }, path('generation-1')))
})

t.test('a tree is created, found as it was, and deleted', async t => {
  const tree = path('tree')
  const bytes = createTree(tree, 100, source)
  t.equal(statTree(tree, 100), bytes)
  t.equal(readTree(tree, 100, source), bytes)
  t.throws(() => statTree(tree, 101), { code: 'ENOENT' })
  const file = join(tree, 'top-0', 'middle-0', 'leaf-0', 'file-3.c')
  damage(file, 0)
  t.throws(() => readTree(tree, 100, source), /not what was written/)
  t.throws(() => statTree(tree, 100), /has .* bytes of/, 'its time has changed')
  t.equal(deleteTree(tree), 100)
  t.throws(() => statSync(tree), { code: 'ENOENT' })
})
