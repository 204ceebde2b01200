// The paths of some inodes: one look at all names, then up from directory to directory.

import { inodeKey, TABLE } from '../metadata/index.ts'
import type { MetadataSnapshot } from '../metadata/index.ts'
import { decodeDentry, decodeInode, parseDentryKey, ROOT_INODE, shown } from '../vfs/index.ts'
import { numberOf, parsed, rows } from './scan-context.ts'

/** Deeper directories are told of by their last part. */
const DEPTH_MAX = 64
const PATH_CHARACTERS_MAX = 400

interface NameContext {
  readonly snapshot: MetadataSnapshot
  readonly step: (bytes: number) => Promise<void>
}

/** Paths below the mount, of one name each; what has none, or none that can be read, is left out. */
export async function pathsOf(
  context: NameContext,
  inodes: ReadonlySet<number>,
): Promise<Map<number, string>> {
  const places = new Map<number, { parent: number; name: string }>()
  if (inodes.size > 0) {
    for await (const { parent, name, inode } of namesIn(context, Buffer.of(TABLE.dentry))) {
      if (inodes.has(inode)) places.set(inode, { parent, name })
    }
  }
  const directories = new Map<number, string>([[ROOT_INODE, '']])
  const paths = new Map<number, string>()
  for (const [inode, { parent, name }] of places) {
    const path = `${await directoryPath(context, parent, directories, 0)}${shown(name)}`
    paths.set(inode, path.slice(-PATH_CHARACTERS_MAX))
  }
  return paths
}

async function* namesIn(context: NameContext, prefix: Buffer) {
  const quiet = { ...context, found: () => undefined }
  for await (const row of rows(quiet, prefix)) {
    const parent = numberOf(row.key)
    const dentry = parsed(quiet, row, () => decodeDentry(row.value, parent))
    if (dentry !== undefined) {
      yield { parent, name: parseDentryKey(row.key).name, inode: dentry.inode }
    }
  }
}

/** With a slash at its end. */
async function directoryPath(
  context: NameContext,
  directory: number,
  known: Map<number, string>,
  depth: number,
): Promise<string> {
  const path = known.get(directory)
  if (path !== undefined) return path
  const parent = depth < DEPTH_MAX ? parentOf(context.snapshot, directory) : undefined
  let found = '…/'
  if (parent !== undefined) {
    for await (const { name, inode } of namesIn(context, inodeKey(TABLE.dentry, parent))) {
      if (inode !== directory) continue
      found = `${await directoryPath(context, parent, known, depth + 1)}${shown(name)}/`
      break
    }
  }
  known.set(directory, found)
  return found
}

function parentOf(snapshot: MetadataSnapshot, directory: number): number | undefined {
  try {
    const record = snapshot.get(inodeKey(TABLE.inode, directory))
    return record === undefined ? undefined : decodeInode(record, directory).parent
  } catch {
    // Its record can't be read; the scan has said so.
    return undefined
  }
}
