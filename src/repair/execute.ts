// Does one action. Each looks again before it changes anything; one that finds things otherwise does nothing and says so.

import type { UsageTotals } from '../evidence/index.ts'
import type { Mending } from '../vfs/index.ts'
import { dentryKey } from '../vfs/index.ts'
import type { Deed } from './actions.ts'
import type { RecordMender } from './record-mender.ts'

export interface RepairTarget {
  readonly mending: Mending
  readonly records: RecordMender
  /** the next block file's id is no less than this */
  raiseBlockCounter(next: number): boolean
  /** Adds to the counters of references. */
  correctUsage(correction: UsageTotals): void
  /** The block file takes no dedupe hits any more, and an alert says so. */
  quarantineBlock(block: number, reason: string): boolean
}

/** @returns whether anything was changed. @throws StoreError for records that can't be read */
export function execute(target: RepairTarget, deed: Deed): boolean {
  const { mending, records } = target
  switch (deed.kind) {
    case 'raise-counter':
      return mending.raiseCounters(deed.nextInode, deed.nextContainer)
    case 'raise-block-counter':
      return target.raiseBlockCounter(deed.next)
    case 'mend-root':
      return mending.mendRoot(deed.container, deed.root)
    case 'restore-container':
      return mending.restoreContainer(deed.container, deed.name, deed.root, deed.group)
    case 'salvage-file':
      return mending.rewrite(deed.file.inode) || mending.salvageFile(deed.file, deed.names)
    case 'salvage-directory': {
      const { directory, name } = deed
      return mending.rewrite(directory.inode) || mending.salvageDirectory(directory, name)
    }
    case 'drop-inode':
      return mending.rewrite(deed.inode) || mending.dropInode(deed.inode, deed.names)
    case 'delete-record':
      return records.delete(deed.key)
    case 'drop-xattrs':
      return mending.dropXattrs(deed.inode)
    case 'unmark':
      return mending.unmark(deed.inode) || mending.mark(deed.inode)
    case 'mark':
      return mending.mark(deed.inode)
    case 'remove-name':
      return mending.removeName(deed.name)
    case 'set-name-type':
      return mending.setNameType(deed.name)
    case 'restore-name':
    case 'move-name': {
      const { parent, hash, name } = deed.name
      const isMoved =
        deed.kind === 'restore-name'
          ? mending.restoreName(deed.name)
          : mending.moveToLostAndFound(deed.name)
      // In one commit with the new name, since nothing comes between the two.
      return isMoved && records.delete(dentryKey(parent, hash, name))
    }
    case 'set-container':
      return mending.setContainer(deed.inode, deed.from, deed.to)
    case 'set-parent':
      return mending.setParent(deed.inode, deed.was, deed.parent)
    case 'adopt':
      return mending.adopt(deed.inode)
    case 'add-links':
      return mending.addLinks(deed.inode, deed.delta)
    case 'add-children':
      return mending.addChildren(deed.inode, deed.delta)
    case 'add-mapped':
      return mending.addMapped(deed.inode, deed.delta)
    case 'set-xattr-flag':
      return mending.setHasXattrs(deed.inode, deed.has)
    case 'recount-container':
      return mending.recountContainer(deed.container, deed.bytes, deed.files)
    case 'correct-usage':
      target.correctUsage(deed.correction)
      return true
    case 'quarantine-block':
      return target.quarantineBlock(deed.block, deed.reason)
  }
}
