import t from 'tap'
import { HoleCheck, type CheckedFile } from '../../src/stream/hole-check.ts'

const MEBIBYTE = 2 ** 20
const GIBIBYTE = 2 ** 30

function fileOf(changes: Partial<CheckedFile> = {}) {
  return {
    inode: 7,
    sizeBytes: 8 * GIBIBYTE,
    mappedBytes: 3 * MEBIBYTE,
    hasUnflushedData: false,
    changeCount: 0,
    ...changes,
  }
}

/** Extents that cover so much, all in one page. @returns the check, and which pages were looked at */
function checkOf(coveredBytes: number, coveredPage = 2) {
  const looked: number[] = []
  const check = new HoleCheck((_inode, firstPage, endPage) => {
    for (let page = firstPage; page < endPage; page++) looked.push(page)
    return firstPage <= coveredPage && coveredPage < endPage ? coveredBytes : 0
  })
  return { check, looked }
}

t.test('a file whose extents cover what its record says may have holes', async t => {
  const { check, looked } = checkOf(3 * MEBIBYTE, 2047)
  t.equal(await check.passes(fileOf()), true)
  t.same(
    looked,
    Array.from({ length: 2048 }, (_, page) => page),
    'every page once',
  )
  t.equal(await check.passes(fileOf()), true)
  t.equal(looked.length, 2048, 'once is enough')
})

t.test('a file of which extents are missing may not', async t => {
  const { check } = checkOf(3 * MEBIBYTE - 1)
  t.equal(await check.passes(fileOf()), false)
  t.equal(await check.passes(fileOf()), false, 'however often it is asked')
})

t.test('a file that has as many bytes as are stored has no holes', async t => {
  const { check, looked } = checkOf(3 * MEBIBYTE)
  t.equal(await check.passes(fileOf({ sizeBytes: 3 * MEBIBYTE })), false)
  t.equal(
    await check.passes(fileOf({ sizeBytes: 40 * GIBIBYTE, mappedBytes: 40 * GIBIBYTE })),
    false,
  )
  t.same(looked, [])
  t.equal(await check.isWhole(fileOf({ sizeBytes: 3 * MEBIBYTE })), false, 'but is counted')
})

t.test('what is not stored yet, and what is too large to be counted, is believed', async t => {
  const { check, looked } = checkOf(0)
  t.equal(await check.passes(fileOf({ hasUnflushedData: true })), true)
  t.equal(await check.passes(fileOf({ sizeBytes: 17 * GIBIBYTE })), true)
  t.same(looked, [])
})

t.test('a file that changes while it is counted is believed, and counted again', async t => {
  const file = fileOf()
  let counts = 0
  const check = new HoleCheck(() => {
    if (++counts === 3) file.changeCount++
    return 0
  })
  t.equal(await check.passes(file), true)
  t.equal(counts, 3, 'the rest says nothing any more')
  t.equal(await check.passes(file), false)
})
