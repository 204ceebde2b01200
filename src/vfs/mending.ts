// What a repair may do to names and inodes. Every step is synchronous, whole in itself, and looks again before it acts: it
// returns false and changes nothing when what it was planned for isn't so any more. Counts are corrected by differences,
// which hold whatever clients do meanwhile.

import type { Containers } from './containers.ts'
import type { Dentries } from './dentries.ts'
import { ROOT_INODE, type InodeTable } from './inode-table.ts'
import type { Inode } from './inode.ts'
import { S_IFDIR, S_IFREG } from './linux.ts'
import type { Namespace } from './namespace.ts'
import type { Reaper } from './reaper.ts'
import type { InodeFields } from './records/inode-record.ts'
import type { ByteString, InodeNumber, Timestamp } from './types.ts'
import type { Xattrs } from './xattrs.ts'

export const LOST_AND_FOUND = 'lost+found'
/** Tries at a free name in there. */
const NAMES_MAX = 1000
const PRIVATE_DIRECTORY = 0o700
const PRIVATE_FILE = 0o600
const OTHERS_PERMISSIONS = 0o077
const GENERATION = 1
const ROOT_CALLER = { uid: 0, gid: 0, pid: 0 }

/** A name as its record says. */
export interface MendedName {
  readonly parent: InodeNumber
  readonly name: ByteString
  readonly target: InodeNumber
  readonly type: number
}

/** What is known of a file whose record is gone. */
export interface SalvagedFile {
  readonly inode: InodeNumber
  readonly container: number
  readonly sizeBytes: number
  readonly mappedBytes: number
  readonly hasXattrs: boolean
}

/** What is known of a directory whose record is gone. */
export interface SalvagedDirectory {
  readonly inode: InodeNumber
  readonly container: number
  readonly children: number
  readonly subdirectories: number
  readonly hasXattrs: boolean
}

export interface MendingParts {
  readonly table: InodeTable
  readonly dentries: Dentries
  readonly xattrs: Xattrs
  readonly containers: Containers
  readonly namespace: Namespace
  readonly reaper: Reaper
  readonly now: () => Timestamp
  /** the kernel must forget what it remembers of a name */
  readonly entryChanged: (parent: InodeNumber, name: ByteString) => void
}

/** Of an inode in lost+found. */
interface FoundPlace {
  readonly directory: Inode
  readonly name: ByteString
  /** by that inode itself */
  readonly isTaken: boolean
}

export class Mending {
  readonly #parts: MendingParts

  constructor(parts: MendingParts) {
    this.#parts = parts
  }

  // ---- counts

  addLinks(number: InodeNumber, delta: number): boolean {
    const { table, reaper } = this.#parts
    const inode = table.find(number)
    if (inode === undefined || inode.linkCount + delta <= 0) return false
    if (inode.linkCount === 0) {
      // Somebody has let it go for good; or it has names, and is about to be forgotten.
      if (inode.isDirectory || inode.isNameless || reaper.isReaping(number)) return false
      reaper.adopted(inode)
    }
    inode.linkCount += delta
    table.changed(inode)
    return true
  }

  addChildren(number: InodeNumber, delta: number): boolean {
    const inode = this.#directory(number)
    if (inode === undefined || inode.childCount + delta < 0) return false
    inode.childCount += delta
    this.#parts.table.changed(inode)
    return true
  }

  /** Not while it is open: its content counts by itself. */
  addMapped(number: InodeNumber, delta: number): boolean {
    const inode = this.#parts.table.find(number)
    if (inode === undefined || inode.content !== undefined) return false
    if (inode.mappedBytes + delta < 0) return false
    inode.mappedBytes += delta
    this.#parts.table.changed(inode)
    return true
  }

  recountContainer(id: number, logicalBytes: number, files: number): boolean {
    return this.#parts.containers.recount(id, logicalBytes, files)
  }

  /** 0 for a counter that is right. */
  raiseCounters(nextInode: number, nextContainer: number): boolean {
    const { table } = this.#parts
    const isRaised = table.raiseCounters(nextInode, nextContainer)
    const root = table.find(ROOT_INODE)
    // The counters go into a commit with any inode.
    if (isRaised && root !== undefined) table.changed(root)
    return isRaised
  }

  // ---- what an inode says

  setParent(number: InodeNumber, was: InodeNumber, parent: InodeNumber): boolean {
    const inode = this.#directory(number)
    if (inode === undefined || inode.parent !== was) return false
    if (this.#directory(parent) === undefined) return false
    inode.parent = parent
    this.#parts.table.changed(inode)
    return true
  }

  setHasXattrs(number: InodeNumber, has: boolean): boolean {
    const inode = this.#parts.table.find(number)
    if (inode === undefined || inode.linkCount === 0 || inode.hasXattrs === has) return false
    inode.hasXattrs = has
    this.#parts.table.changed(inode)
    return true
  }

  /** Who may use it was said there, too: only its owner may, from now on. */
  dropXattrs(number: InodeNumber): boolean {
    const { table, xattrs } = this.#parts
    const inode = table.find(number)
    if (inode === undefined) return false
    inode.hasXattrs = true
    xattrs.discard(inode)
    inode.mode &= ~OTHERS_PERMISSIONS
    table.changed(inode)
    return true
  }

  /** Both containers belong to one storage group, or the old one doesn't exist. */
  setContainer(number: InodeNumber, from: number, to: number): boolean {
    const { table, containers } = this.#parts
    const inode = table.find(number)
    if (inode === undefined || inode.container !== from || inode.content !== undefined) return false
    if (containers.byId(to) === undefined || inode.linkCount === 0) return false
    if (!inode.isDirectory) {
      const sizeBytes = inode.isRegular ? inode.sizeBytes : 0
      containers.recount(from, -sizeBytes, -1)
      containers.recount(to, sizeBytes, 1)
    }
    inode.container = to
    table.changed(inode)
    return true
  }

  // ---- marks for deletion

  /** An inode that has a name, or none at all, is not to be deleted. */
  unmark(number: InodeNumber): boolean {
    const { table, reaper } = this.#parts
    if (table.find(number)?.linkCount === 0) return false
    reaper.unmark(number)
    return true
  }

  /** Nothing names it, and it counts no links: it goes, as soon as nobody holds it. */
  mark(number: InodeNumber): boolean {
    const { table, reaper } = this.#parts
    const inode = table.find(number)
    if (inode === undefined || inode.linkCount !== 0 || inode.isNameless) return false
    // The reaper reports its own failures.
    void reaper.orphaned(inode)
    return true
  }

  // ---- names

  /** A name that leads nowhere. */
  removeName(place: MendedName): boolean {
    if (this.#isTargetThere(place.target) || !this.#isSaid(place)) return false
    this.#detach(place)
    return true
  }

  /** A file that is given up loses a name; with its last one it goes. */
  unlink(place: MendedName): boolean {
    const { namespace, entryChanged } = this.#parts
    if (place.type === S_IFDIR || !this.#isSaid(place)) return false
    namespace.unlink(place.parent, place.name)
    entryChanged(place.parent, place.name)
    return true
  }

  /** A name says the type that its inode has. */
  setNameType(place: MendedName): boolean {
    const { table, dentries, entryChanged } = this.#parts
    const { parent, name, target } = place
    const inode = table.find(target)
    if (inode === undefined || !this.#isSaid(place) || inode.type === place.type) return false
    dentries.set(parent, name, { inode: target, type: inode.type })
    const directory = this.#directory(parent)
    if (directory !== undefined) {
      directory.linkCount += Number(inode.isDirectory) - Number(place.type === S_IFDIR)
      table.changed(directory)
    }
    entryChanged(parent, name)
    return true
  }

  /**
   * A name whose record lies where nobody finds it gets one where it belongs; when another file has the name by now, one in
   * lost+found. The caller deletes the old record with the same commit.
   */
  restoreName(place: MendedName): boolean {
    const { dentries, entryChanged } = this.#parts
    const { parent, name, target, type } = place
    const taken = dentries.find(parent, name)
    // The count of entries is corrected when the records are counted again.
    if (taken?.inode === target) return true
    if (taken !== undefined) return this.moveToLostAndFound(place)
    if (this.#directory(parent) === undefined) return false
    dentries.set(parent, name, { inode: target, type })
    entryChanged(parent, name)
    return true
  }

  /** A name that lies in no directory. The caller deletes its record with the same commit. */
  moveToLostAndFound({ target, name }: MendedName): boolean {
    const inode = this.#parts.table.find(target)
    if (inode === undefined || inode.linkCount === 0) return false
    return this.#enterLostAndFound(inode, name)
  }

  /** An inode without a name gets one in lost+found. */
  adopt(number: InodeNumber): boolean {
    const inode = this.#parts.table.find(number)
    if (inode === undefined || inode.linkCount === 0) return false
    if (!this.#enterLostAndFound(inode, nameOf(number))) return false
    if (!inode.isDirectory) inode.linkCount = 1
    this.#parts.table.changed(inode)
    return true
  }

  // ---- inodes whose records are gone

  /** Memory may know it still. */
  rewrite(number: InodeNumber): boolean {
    const { table } = this.#parts
    const inode = table.peek(number)
    if (inode === undefined || inode.isDeleted) return false
    table.changed(inode)
    return true
  }

  /** A file of what its extents hold, in lost+found alone: its end and its owner are not known. */
  salvageFile(file: SalvagedFile, names: readonly MendedName[]): boolean {
    const { inode: number, container, sizeBytes, mappedBytes, hasXattrs } = file
    const { table, containers } = this.#parts
    if (this.#isTargetThere(number)) return false
    const place = this.#placeInLostAndFound(container, nameOf(number), number)
    if (place === undefined) return false
    const fields = this.#fields(S_IFREG | PRIVATE_FILE, container)
    const inode = table.createAs(number, { ...fields, sizeBytes, mappedBytes, hasXattrs })
    // As if it were there already: a record that can't be read has to be overwritten or deleted.
    inode.isStored = true
    this.#enterAt(place, inode)
    containers.recount(container, sizeBytes, 1)
    for (const name of names) if (this.#isSaid(name)) this.#detach(name)
    return true
  }

  /** A directory where its name is; its entries are records of their own. */
  salvageDirectory(directory: SalvagedDirectory, place: MendedName | undefined): boolean {
    const { inode: number, container, children, subdirectories, hasXattrs } = directory
    const { table, containers } = this.#parts
    if (this.#isTargetThere(number) || containers.byId(container) === undefined) return false
    const found =
      place === undefined ? this.#placeInLostAndFound(container, nameOf(number), number) : undefined
    if (place === undefined && found === undefined) return false
    const inode = table.createAs(number, {
      ...this.#fields(S_IFDIR | PRIVATE_DIRECTORY, container),
      linkCount: 2 + subdirectories,
      childCount: children,
      parent: place?.parent ?? 0,
      hasXattrs,
    })
    inode.isStored = true
    if (found !== undefined) this.#enterAt(found, inode)
    return true
  }

  /** An inode of which nothing is left but a record that can't be read, and names. */
  dropInode(number: InodeNumber, names: readonly MendedName[]): boolean {
    const { table, reaper } = this.#parts
    if (this.#isTargetThere(number)) return false
    for (const name of names) if (this.#isSaid(name)) this.#detach(name)
    const inode = table.createAs(number, {
      ...this.#fields(S_IFREG, 0),
      linkCount: 0,
      hasXattrs: true,
    })
    inode.isStored = true
    // The reaper reports its own failures.
    void reaper.orphaned(inode)
    return true
  }

  // ---- containers

  /** Its top directory is the one that its name leads to; one that is lost is made anew. */
  mendRoot(id: number, was: InodeNumber): boolean {
    const { table, dentries, containers, entryChanged } = this.#parts
    const container = containers.byId(id)
    if (container?.root !== was) return false
    const named = dentries.find(ROOT_INODE, container.name)
    const directory = named === undefined ? undefined : this.#directory(named.inode)
    if (directory !== undefined && directory.container === id) {
      containers.setRoot(id, directory.number)
      return true
    }
    if (this.#isTargetThere(was) || (named !== undefined && named.inode !== was)) return false
    const fields = this.#fields(S_IFDIR | PRIVATE_DIRECTORY, id)
    const root = table.createAs(was, { ...fields, linkCount: 2, parent: ROOT_INODE })
    root.isStored = true
    if (named === undefined) this.#enter(this.#parts.table.get(ROOT_INODE), container.name, root)
    entryChanged(ROOT_INODE, container.name)
    return true
  }

  /** A container whose record is gone, and whose top directory and storage group are known. */
  restoreContainer(id: number, name: ByteString, root: InodeNumber, group: number): boolean {
    const { containers } = this.#parts
    const directory = this.#directory(root)
    if (directory?.container !== id || !containers.isDeleting(id)) return false
    if (containers.deleting().some(each => each.id === id)) return false
    if (containers.find(name) !== undefined) return false
    const created = directory.birthTime
    const counts = { logicalBytes: 0, fileCount: 0 }
    containers.add(id, { name, group, root, created, deleting: false, ...counts })
    return true
  }

  // ---- helpers

  #directory(number: InodeNumber): Inode | undefined {
    const inode = this.#parts.table.find(number)
    return inode?.isDirectory === true && inode.linkCount > 0 ? inode : undefined
  }

  /** Also when its record can be read again, or memory knows it. */
  #isTargetThere(number: InodeNumber): boolean {
    try {
      return this.#parts.table.find(number) !== undefined
    } catch {
      return false
    }
  }

  #isSaid({ parent, name, target, type }: MendedName): boolean {
    const dentry = this.#parts.dentries.find(parent, name)
    return dentry?.inode === target && dentry.type === type
  }

  #detach({ parent, name, type }: MendedName): void {
    const { table, dentries, entryChanged } = this.#parts
    dentries.remove(parent, name)
    const directory = this.#directory(parent)
    if (directory !== undefined) {
      directory.childCount = Math.max(0, directory.childCount - 1)
      if (type === S_IFDIR) directory.linkCount = Math.max(2, directory.linkCount - 1)
      table.changed(directory)
    }
    entryChanged(parent, name)
  }

  #enter(directory: Inode, name: ByteString, inode: Inode): void {
    const { table, dentries, entryChanged } = this.#parts
    dentries.set(directory.number, name, { inode: inode.number, type: inode.type })
    directory.childCount++
    if (inode.isDirectory) {
      directory.linkCount++
      inode.parent = directory.number
    }
    table.changed(directory)
    table.changed(inode)
    entryChanged(directory.number, name)
  }

  #enterLostAndFound(inode: Inode, name: ByteString): boolean {
    const place = this.#placeInLostAndFound(inode.container, name, inode.number)
    if (place === undefined) return false
    this.#enterAt(place, inode)
    return true
  }

  #enterAt({ directory, name, isTaken }: FoundPlace, inode: Inode): void {
    if (!isTaken) this.#enter(directory, name, inode)
  }

  /** A name that is free, or the inode's already; undefined when there is none, or no directory. */
  #placeInLostAndFound(
    container: number,
    name: ByteString,
    number: InodeNumber,
  ): FoundPlace | undefined {
    const directory = this.#lostAndFound(container)
    if (directory === undefined) return undefined
    for (let count = 0; count < NAMES_MAX; count++) {
      const free = count === 0 ? name : `${name.slice(0, 240)}.${count}`
      const taken = this.#parts.dentries.find(directory.number, free)
      const isTaken = taken?.inode === number
      if (isTaken || taken === undefined) return { directory, name: free, isTaken }
    }
    return undefined
  }

  /** Made when it is missing; undefined when something else has its name. */
  #lostAndFound(container: number): Inode | undefined {
    const { namespace, dentries, containers } = this.#parts
    const root = containers.byId(container)?.root
    if (root === undefined || this.#directory(root) === undefined) return undefined
    const known = dentries.find(root, LOST_AND_FOUND)
    if (known !== undefined) return this.#directory(known.inode)
    const made = namespace.mkdir(root, LOST_AND_FOUND, PRIVATE_DIRECTORY, ROOT_CALLER)
    this.#parts.entryChanged(root, LOST_AND_FOUND)
    return made
  }

  #fields(mode: number, container: number): InodeFields {
    const time = this.#parts.now()
    return {
      mode,
      uid: 0,
      gid: 0,
      linkCount: 1,
      generation: GENERATION,
      sizeBytes: 0,
      mappedBytes: 0,
      deviceNumber: 0,
      container,
      parent: 0,
      childCount: 0,
      hasXattrs: false,
      accessTime: time,
      modifyTime: time,
      changeTime: time,
      birthTime: time,
      target: '',
    }
  }
}

function nameOf(number: InodeNumber): ByteString {
  return `inode-${number}`
}
