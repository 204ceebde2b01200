import fc from 'fast-check'
import t from 'tap'
import { regionName, regionPlaces } from '../../src/stream/region-places.ts'
import type { Extent } from '../../src/stream/extent.ts'

const locations = fc.array(
  fc.record({
    block: fc.integer({ min: 1, max: 3 }),
    page: fc.integer({ min: 1, max: 2 ** 14 }),
    ordinal: fc.nat(100),
  }),
)

const extentAt = (location: Extent['location']): Extent => ({
  startBytes: 0,
  lengthBytes: 1,
  chunkOffsetBytes: 0,
  chunkLengthBytes: 1,
  fingerprint: new Uint8Array(32),
  location,
})

t.test('each region comes once, in the order of its first extent', async t => {
  fc.assert(
    fc.property(locations, list => {
      const extents = list.map(extentAt)
      const names = [...regionPlaces(extents).keys()]
      t.strictSame(names, [...new Set(extents.map(regionName))])
    }),
  )
})

t.test('a region ends where the next one begins that is needed of its block file', async t => {
  fc.assert(
    fc.property(locations, list => {
      for (const { block, page, endPage } of regionPlaces(list.map(extentAt)).values()) {
        const later = list.filter(other => other.block === block && other.page > page)
        const next = Math.min(...later.map(other => other.page))
        t.equal(endPage, later.length === 0 ? undefined : next)
      }
    }),
  )
})
