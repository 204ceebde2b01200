// The concerns of the filesystem, made and told of each other.

import type { Committer, MetadataReader } from '../metadata/contract.ts'
import { AttributeOperations } from './attributes.ts'
import { Containers } from './containers.ts'
import { ContainerTrees } from './container-trees.ts'
import type { ContentStore } from './content.ts'
import { Contents } from './contents.ts'
import { Dentries } from './dentries.ts'
import { Files } from './files.ts'
import { InodeTable, ROOT_INODE } from './inode-table.ts'
import { Listings } from './listings.ts'
import { Mending } from './mending.ts'
import { nameHash } from './name-hash.ts'
import { Namespace } from './namespace.ts'
import { Reaper } from './reaper.ts'
import { Successors } from './successors.ts'
import { rootFields } from './root.ts'
import type { ByteString, InodeNumber, Timestamp } from './types.ts'
import { Xattrs } from './xattrs.ts'

export interface DiskTotals {
  readonly totalBytes: number
  readonly freeBytes: number
  /** what may really be written, where that is less: a quota can promise more than the disk has left */
  readonly availableBytes?: number
}

export interface VfsOptions {
  readonly metadata: MetadataReader
  readonly committer: Committer
  readonly content: ContentStore
  readonly now: () => Timestamp
  /** For statfs: what a storage group may take and has left; without one, the disk's totals. */
  readonly statistics: (group: number | undefined) => DiskTotals
  /** at least 16 secret bytes, always the same ones for a store: the places of names in directories depend on them */
  readonly hashKey: Uint8Array
  /** a name at the root came or went without the kernel's doing: it must forget what it remembers of the name */
  readonly entryChanged?: (parent: InodeNumber, name: ByteString) => void
  /** Failures that no caller sees: deletions in the background, which are tried again at the next start. */
  readonly reportError?: (error: unknown) => void
  /** while true, every change is refused with EROFS: the store has failed, and memory must not run away from it */
  readonly isReadOnly?: () => boolean
  /** bound of the inode cache */
  readonly cachedInodesMax?: number
}

export interface VfsParts {
  readonly table: InodeTable
  readonly dentries: Dentries
  readonly xattrs: Xattrs
  readonly containers: Containers
  readonly contents: Contents
  readonly reaper: Reaper
  readonly namespace: Namespace
  readonly successors: Successors
  readonly attributes: AttributeOperations
  readonly files: Files
  readonly listings: Listings
  readonly trees: ContainerTrees
  readonly mending: Mending
}

/** A new store gets its root here. */
export function makeParts(options: VfsOptions): VfsParts {
  const { metadata, committer, now } = options
  const touched = (recordCount = 0): void => committer.touched(recordCount)
  const reportError = options.reportError ?? (() => undefined)
  const isReadOnly = options.isReadOnly ?? (() => false)
  const table = new InodeTable(metadata, touched, options.cachedInodesMax)
  const dentries = new Dentries(metadata, nameHash(options.hashKey), touched)
  const xattrs = new Xattrs(metadata)
  const containers = new Containers(touched)
  const contents = new Contents(options.content, table, containers)
  const { content: store } = options
  const reaper = new Reaper({ metadata, table, xattrs, contents, store, reportError })
  const successors = new Successors(options.content)
  const namespace = new Namespace({ table, dentries, containers, xattrs, reaper, successors, now })
  const attributes = new AttributeOperations({
    table,
    contents,
    reaper,
    xattrs,
    successors,
    now,
    isReadOnly,
  })
  const files = new Files({ contents, attributes, committer })
  const listings = new Listings(dentries, table)
  const entryChanged = options.entryChanged ?? (() => undefined)
  const trees = new ContainerTrees({
    table,
    dentries,
    containers,
    namespace,
    reaper,
    committer,
    now,
    entryChanged,
    reportError,
  })
  const mending = new Mending({
    table,
    dentries,
    xattrs,
    containers,
    namespace,
    reaper,
    now,
    entryChanged,
  })
  if (table.find(ROOT_INODE) === undefined) table.createAs(ROOT_INODE, rootFields(now()))
  return {
    table,
    dentries,
    xattrs,
    containers,
    contents,
    reaper,
    namespace,
    successors,
    attributes,
    files,
    listings,
    trees,
    mending,
  }
}
