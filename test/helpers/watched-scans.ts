// Metadata whose scans of tables a test can slow down, fail, or do something beside: ranges and snapshots alike.

import type { CleanerMetadata } from '../../src/cleaner/index.ts'

/** Called before each record of a scan, with the first key of its range and the record's place in it. */
export type ScanHook = (from: Uint8Array, place: number) => Promise<void>

export function watchedScans<Metadata extends CleanerMetadata>(
  metadata: Metadata,
  hookOf: (from: Uint8Array) => ScanHook,
): Metadata {
  return new Proxy(metadata, {
    get(target, property) {
      if (property === 'range') {
        return (from: Uint8Array, to: Uint8Array) =>
          hooked(target.range(from, to), from, hookOf(from))
      }
      if (property === 'snapshot') {
        return () => {
          const snapshot = target.snapshot()
          return {
            get: (key: Uint8Array) => snapshot.get(key),
            entries: (from: Uint8Array, to?: Uint8Array) =>
              hooked(snapshot.entries(from, to), from, hookOf(from)),
            close: () => snapshot.close(),
          }
        }
      }
      const value: unknown = Reflect.get(target, property)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

async function* hooked<Entry>(
  entries: AsyncIterable<Entry>,
  from: Uint8Array,
  hook: ScanHook,
): AsyncGenerator<Entry, void, undefined> {
  let place = 0
  for await (const entry of entries) {
    await hook(from, place++)
    yield entry
  }
}
