import t from 'tap'
import { HoleCheck, type CheckedFile } from '../../src/stream/hole-check.ts'

const MEBIBYTE = 2 ** 20
const GIBIBYTE = 2 ** 30
const PAGE_BYTES = 4 * MEBIBYTE

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
  const check = new HoleCheck({
    coveredBytes(_inode, firstPage, endPage) {
      for (let page = firstPage; page < endPage; page++) looked.push(page)
      return firstPage <= coveredPage && coveredPage < endPage ? coveredBytes : 0
    },
    async nextOverlapBytes(_inode, startBytes) {
      return startBytes <= coveredPage * PAGE_BYTES ? coveredPage * PAGE_BYTES : undefined
    },
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

t.test('extents behind the end count, and prove nothing is missing', async t => {
  t.equal(await checkOf(3 * MEBIBYTE, 3000).check.passes(fileOf()), true)
  t.equal(await checkOf(2 * MEBIBYTE, 3000).check.passes(fileOf()), false)
})

t.test('a file that has as many bytes as are stored has no holes', async t => {
  const { check, looked } = checkOf(3 * MEBIBYTE)
  t.equal(await check.passes(fileOf({ sizeBytes: 3 * MEBIBYTE })), false)
  t.equal(
    await check.passes(fileOf({ sizeBytes: 40 * GIBIBYTE, mappedBytes: 40 * GIBIBYTE })),
    false,
  )
  t.same(looked, [])
  const dense = fileOf({ sizeBytes: 3 * MEBIBYTE })
  t.equal(await checkOf(2 * MEBIBYTE, 0).check.isWhole(dense), false, 'but is counted')
  t.equal(await checkOf(3 * MEBIBYTE, 0).check.isWhole(dense), true)
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
  const check = new HoleCheck({
    coveredBytes() {
      if (++counts === 3) file.changeCount++
      return 0
    },
    nextOverlapBytes: async () => undefined,
  })
  t.equal(await check.passes(file), true)
  t.equal(counts, 3, 'the rest says nothing any more')
  t.equal(await check.passes(file), false)
})
