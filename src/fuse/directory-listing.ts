// READDIR and READDIRPLUS: fills a reply with as many entries as fit.

import type { RequestReader } from './decode.ts'
import { direntBytes, type ReplyWriter } from './encode.ts'
import type { DirectoryEntry, Entry, FuseFilesystem } from './filesystem.ts'
import { OUT_HEADER_BYTES } from './protocol.ts'

/** Larger listings come in several replies: encoding one must not hold the event loop. */
const LISTING_BYTES_MAX = 128 * 1024
/** How long a name is taken to be when estimating how many entries fit. */
const NAME_BYTES_TYPICAL = 24

/** Entries with what their lookups gave, index by index. */
export interface Listing {
  readonly entries: readonly DirectoryEntry[]
  /** each holds a reference; cut to those that the reply carries when it is encoded */
  readonly found: (Entry | undefined)[]
}

function isDot(entry: DirectoryEntry): boolean {
  return entry.name === '.' || entry.name === '..'
}

/** Both requests have a read_in: handle, position, room. Leaves the room in `argument`. */
export function runReaddir(
  filesystem: FuseFilesystem,
  request: RequestReader,
  plus: boolean,
): readonly DirectoryEntry[] | Promise<readonly DirectoryEntry[]> {
  request.argument = Math.min(request.u32(16), LISTING_BYTES_MAX)
  const count = Math.max(1, Math.floor(request.argument / direntBytes(NAME_BYTES_TYPICAL, plus)))
  return filesystem.readdir(request.node, request.u64(8), count, plus)
}

export function encodeReaddir(
  reply: ReplyWriter,
  entries: readonly DirectoryEntry[],
  roomBytes: number,
): number {
  const limit = OUT_HEADER_BYTES + roomBytes
  let end = OUT_HEADER_BYTES
  for (const entry of entries) {
    if (end + direntBytes(entry.name.length, false) > limit) break
    end = reply.dirent(end, entry)
  }
  return end
}

export function runReaddirplus(
  filesystem: FuseFilesystem,
  request: RequestReader,
): Listing | Promise<Listing> {
  const directory = request.node
  const entries = runReaddir(filesystem, request, true)
  if (entries instanceof Promise) {
    return entries.then(list => lookUpAll(filesystem, directory, list))
  }
  return lookUpAll(filesystem, directory, entries)
}

/** Looks every entry up; one that vanished meanwhile, or can't be read, is listed without attributes. */
function lookUpAll(
  filesystem: FuseFilesystem,
  directory: number,
  entries: readonly DirectoryEntry[],
): Listing | Promise<Listing> {
  const found: (Entry | undefined)[] = []
  const pending: Promise<void>[] = []
  for (const [index, entry] of entries.entries()) {
    found.push(undefined)
    if (isDot(entry)) continue
    try {
      const result = filesystem.lookup(directory, entry.name)
      if (result instanceof Promise) {
        pending.push(
          result.then(
            value => {
              found[index] = value
            },
            () => undefined,
          ),
        )
      } else {
        found[index] = result
      }
    } catch {
      // The listing itself is fine; who opens this entry gets the error.
    }
  }
  const listing = { entries, found }
  return pending.length === 0 ? listing : Promise.all(pending).then(() => listing)
}

/** Encodes what fits and drops the references of the rest, which the kernel never hears of. */
export function encodeReaddirplus(
  filesystem: FuseFilesystem,
  reply: ReplyWriter,
  listing: Listing,
  roomBytes: number,
): number {
  const limit = OUT_HEADER_BYTES + roomBytes
  let end = OUT_HEADER_BYTES
  let index = 0
  for (const entry of listing.entries) {
    if (end + direntBytes(entry.name.length, true) > limit) break
    const found = listing.found[index]
    end = found === undefined ? reply.noEntry(end, 0) : reply.entry(end, found)
    end = reply.dirent(end, entry)
    index += 1
  }
  forgetFrom(filesystem, listing, index)
  return end
}

/** Drops the references of the entries from `start` on, once: the listing holds them no more. */
export function forgetFrom(filesystem: FuseFilesystem, listing: Listing, start: number): void {
  for (const found of listing.found.splice(start)) {
    if (found !== undefined) filesystem.forget(found.attributes.inode, 1)
  }
}
