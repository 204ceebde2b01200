// Which regions a range of a file needs, and how far each of them can reach: that much and no more is read of it.

import type { Extent } from './extent.ts'

export interface RegionPlace {
  readonly block: number
  readonly page: number
  /** where the next region begins that is needed of this block file */
  readonly endPage: number | undefined
}

/** Tells regions apart. */
export function regionName({ location }: Pick<Extent, 'location'>): number {
  return location.block * 2 ** 16 + location.page
}

/** Each region once, in the order in which the extents first name it. */
export function regionPlaces(extents: readonly Extent[]): Map<number, RegionPlace> {
  const names = [...new Set(extents.map(regionName))]
  const ends = new Map<number, number>()
  let previous: number | undefined
  // The greatest first: whatever came before lies behind.
  for (const name of names.toSorted((a, b) => b - a)) {
    if (previous !== undefined) ends.set(name, previous)
    previous = name
  }
  return new Map(
    names.map(name => {
      const { block, page } = partsOf(name)
      const end = ends.get(name)
      const next = end === undefined ? undefined : partsOf(end)
      const endPage = next?.block === block ? next.page : undefined
      return [name, { block, page, endPage }] as const
    }),
  )
}

function partsOf(name: number): { block: number; page: number } {
  return { block: Math.floor(name / 2 ** 16), page: name % 2 ** 16 }
}
