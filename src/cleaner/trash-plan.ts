// What leaves the trash, decided from records alone. Pure.

import type { BlockRecord } from '../blocks/index.ts'

export type TrashRequest =
  /** what has been there for the keep time */
  | { readonly kind: 'expired'; readonly nowSeconds: number; readonly keepSeconds: number }
  /** the oldest, until so many bytes are given up */
  | { readonly kind: 'room'; readonly bytes: number }
  /** those of a group that keep keys from being erased */
  | { readonly kind: 'keys'; readonly group: number; readonly keyIds: ReadonlySet<number> }
  /** all of a group, or of all groups */
  | { readonly kind: 'all'; readonly group?: number }

/** @param trashed in the order in which they were freed */
export function planTrash(
  trashed: readonly BlockRecord[],
  request: TrashRequest,
): readonly BlockRecord[] {
  switch (request.kind) {
    case 'expired':
      return trashed.filter(({ freedSeconds }) => {
        // A clock that was set back keeps files longer, never shorter.
        return (freedSeconds ?? Infinity) + request.keepSeconds <= request.nowSeconds
      })
    case 'room': {
      const chosen: BlockRecord[] = []
      let bytes = 0
      for (const record of trashed) {
        if (bytes >= request.bytes) break
        chosen.push(record)
        bytes += record.lengthBytes
      }
      return chosen
    }
    case 'keys':
      return trashed.filter(({ group, keyId }) => {
        return group === request.group && request.keyIds.has(keyId)
      })
    case 'all':
      return trashed.filter(({ group }) => request.group === undefined || request.group === group)
  }
}
