// Names against inodes: who is named how often, by which directory, and what directories count.
//
// Names lie in the order of their directories, so what leads to an inode is spread over all of them. Inodes are
// therefore taken a window at a time, and each window costs one look at all names: memory stays bounded, and nearly all
// stores are one window.

import { plural } from '../plural.ts'
import { inodeKey, prefixEnd, TABLE } from '../metadata/index.ts'
import {
  decodeDentry,
  decodeInode,
  parseDentryKey,
  ROOT_INODE,
  S_IFDIR,
  S_IFMT,
  shown,
} from '../vfs/index.ts'
import type { InodeFields } from '../vfs/index.ts'
import { bufferOf } from '../buffer-of.ts'
import { numberOf, parsed, rows } from './scan-context.ts'
import type { ScanContext } from './scan-context.ts'
import type { NamePlace } from './subjects.ts'

/** About 40 bytes each: 20 MB. */
const WINDOW_INODES_MAX = 2 ** 19
/** type of an inode whose record can't be read */
const UNKNOWN_TYPE = 0

/** @param windowInodesMax for tests */
export async function checkNames(
  context: ScanContext,
  windowInodesMax = WINDOW_INODES_MAX,
): Promise<void> {
  let from: number | undefined = 0
  while (from !== undefined) {
    const window: InodeWindow = await gather(context, from, windowInodesMax)
    await countNames(context, window)
    await compare(context, window)
    from = window.to === Number.POSITIVE_INFINITY ? undefined : window.to
  }
}

/** Inodes whose numbers are at least `from` and below `to`, ascending, with what names say of them. */
interface InodeWindow {
  readonly from: number
  readonly to: number
  readonly numbers: readonly number[]
  readonly types: readonly number[]
  readonly containers: readonly number[]
  /** names that lead to it */
  readonly names: Uint32Array
  /** entries in it */
  readonly children: Uint32Array
  readonly subdirectories: Uint32Array
  /** directory of the last name that leads to it */
  readonly parents: Float64Array
}

async function gather(
  context: ScanContext,
  from: number,
  windowInodesMax: number,
): Promise<InodeWindow> {
  const numbers: number[] = []
  const types: number[] = []
  const containers: number[] = []
  let to = Number.POSITIVE_INFINITY
  const { snapshot, found, step } = context
  const end = prefixEnd(Buffer.of(TABLE.inode))
  for await (const entry of snapshot.entries(inodeKey(TABLE.inode, from), end)) {
    const key = bufferOf(entry.key)
    await step(key.length + (entry.value?.length ?? 0))
    const number = numberOf(key)
    if (numbers.length >= windowInodesMax) {
      to = number
      break
    }
    if (entry.damage !== undefined) found('record-readable', entry.damage, { key })
    const row = entry.value && { key, value: bufferOf(entry.value) }
    const inode = row && parsed(context, row, () => decodeInode(row.value, number))
    numbers.push(number)
    types.push(inode === undefined ? UNKNOWN_TYPE : inode.mode & S_IFMT)
    containers.push(inode?.container ?? 0)
  }
  const count = numbers.length
  return {
    from,
    to,
    numbers,
    types,
    containers,
    names: new Uint32Array(count),
    children: new Uint32Array(count),
    subdirectories: new Uint32Array(count),
    parents: new Float64Array(count),
  }
}

async function countNames(context: ScanContext, window: InodeWindow): Promise<void> {
  // Of what a name says of itself, every window would tell the same.
  const isFirst = window.from === 0
  const counter = new NameCounter(context, window)
  for await (const row of rows(context, Buffer.of(TABLE.dentry), undefined, isFirst)) {
    const parent = numberOf(row.key)
    const dentry = parsed(context, row, () => decodeDentry(row.value, parent), isFirst)
    if (dentry !== undefined) {
      const { hash, name } = parseDentryKey(row.key)
      counter.count({ parent, name, hash, target: dentry.inode, type: dentry.type })
    }
  }
}

class NameCounter {
  readonly #context: ScanContext
  readonly #window: InodeWindow
  /** the directory whose names are being seen */
  #parent = -1
  #parentPlace: number | undefined
  #parentContainer: number | undefined

  constructor(context: ScanContext, window: InodeWindow) {
    this.#context = context
    this.#window = window
  }

  count(name: NamePlace): void {
    if (name.parent !== this.#parent) this.#enter(name.parent)
    if (this.#covers(name.parent)) this.#countInDirectory(name)
    if (this.#covers(name.target)) this.#countForInode(name)
  }

  #covers(inode: number): boolean {
    return inode >= this.#window.from && inode < this.#window.to
  }

  #enter(parent: number): void {
    this.#parent = parent
    this.#parentPlace = this.#covers(parent) ? placeOf(this.#window.numbers, parent) : undefined
    this.#parentContainer =
      this.#parentPlace === undefined
        ? this.#loadContainer(parent)
        : this.#window.containers[this.#parentPlace]
  }

  #countInDirectory(subject: NamePlace): void {
    const { found, parts } = this.#context
    const { types, children, subdirectories } = this.#window
    const { parent, hash, name, type } = subject
    const place = this.#parentPlace
    const parentType = place === undefined ? undefined : types[place]
    if (place === undefined || (parentType !== S_IFDIR && parentType !== UNKNOWN_TYPE)) {
      const what = place === undefined ? 'does not exist' : 'is no directory'
      found('name-directory', `${quoted(name)} lies in inode ${parent}, which ${what}.`, subject)
      return
    }
    children[place] = (children[place] ?? 0) + 1
    if (type === S_IFDIR) subdirectories[place] = (subdirectories[place] ?? 0) + 1
    if (parts.hashOf(name) !== hash) {
      const text = `${quoted(name)} in directory ${parent} lies where nobody finds it.`
      found('name-hash', text, subject)
    }
  }

  #countForInode(subject: NamePlace): void {
    const { found } = this.#context
    const { numbers, types, names, parents, containers } = this.#window
    const { parent, name, target, type } = subject
    const place = placeOf(numbers, target)
    const where = `${quoted(name)} in directory ${parent}`
    if (place === undefined) {
      const text = `${where} leads to inode ${target}, which does not exist.`
      found('name-inode', text, subject)
      return
    }
    names[place] = (names[place] ?? 0) + 1
    parents[place] = parent
    if (types[place] === UNKNOWN_TYPE) return
    if (types[place] !== type) {
      found('name-type', `${where} says another type than inode ${target} has.`, subject)
    }
    const container = containers[place] ?? 0
    const isForeign = parent !== ROOT_INODE && container !== this.#parentContainer
    if (isForeign && this.#parentContainer !== undefined) {
      const text = `${where} lies in container ${this.#parentContainer}, its inode ${target} in ${container}.`
      found('name-container', text, {
        ...subject,
        container: this.#parentContainer,
        inodeContainer: container,
      })
    }
  }

  /** undefined when the directory's record can't tell. */
  #loadContainer(parent: number): number | undefined {
    try {
      const record = this.#context.snapshot.get(inodeKey(TABLE.inode, parent))
      return record === undefined ? undefined : decodeInode(record, parent).container
    } catch {
      // Its own window reports it.
      return undefined
    }
  }
}

async function compare(context: ScanContext, window: InodeWindow): Promise<void> {
  const { containers } = context
  const reclaimed = new Set<number>()
  for (const { deleting, root } of containers.values()) if (deleting) reclaimed.add(root)
  const to =
    window.to === Number.POSITIVE_INFINITY
      ? prefixEnd(Buffer.of(TABLE.inode))
      : inodeKey(TABLE.inode, window.to)
  let place = -1
  for await (const row of rows(context, inodeKey(TABLE.inode, window.from), to, false)) {
    const number = numberOf(row.key)
    const inode = parsed(context, row, () => decodeInode(row.value, number), false)
    while (window.numbers[place] !== number) place++
    if (inode === undefined) continue
    const mayBeNameless = number === ROOT_INODE || reclaimed.has(number)
    compareInode(context, inode, mayBeNameless, {
      number,
      names: window.names[place] ?? 0,
      children: window.children[place] ?? 0,
      subdirectories: window.subdirectories[place] ?? 0,
      parent: number === ROOT_INODE ? ROOT_INODE : (window.parents[place] ?? 0),
    })
  }
}

/** What names say of an inode. */
interface Named {
  readonly number: number
  readonly names: number
  readonly children: number
  readonly subdirectories: number
  readonly parent: number
}

function compareInode(
  { found }: ScanContext,
  inode: InodeFields,
  mayBeNameless: boolean,
  named: Named,
): void {
  const { number, names, children, subdirectories, parent } = named
  const isDirectory = (inode.mode & S_IFMT) === S_IFDIR
  if (inode.linkCount === 0 && names === 0) return
  if (names === 0 && !mayBeNameless) {
    const text = `Inode ${number} of container ${inode.container} has no name.`
    found('inode-lost', text, { inode: number, container: inode.container })
  }
  const links = isDirectory ? 2 + subdirectories : names
  if (links !== inode.linkCount && links > 0) {
    const text = `Inode ${number} counts ${plural(inode.linkCount, 'link')}, and has ${links}.`
    found('inode-links', text, { inode: number, delta: links - inode.linkCount })
  }
  if (!isDirectory) return
  if (children !== inode.childCount) {
    const text = `Directory ${number} counts ${plural(inode.childCount, 'entry', 'entries')}, and has ${children}.`
    found('inode-children', text, { inode: number, delta: children - inode.childCount })
  }
  if (names > 1) {
    const text = `Directory ${number} has ${plural(names, 'name')}.`
    found('inode-parent', text, { inode: number, was: inode.parent, parent: 0 })
  } else if (names + Number(number === ROOT_INODE) > 0 && parent !== inode.parent) {
    const text = `Directory ${number} lies in directory ${parent}, and says ${inode.parent}.`
    found('inode-parent', text, { inode: number, was: inode.parent, parent })
  }
}

function quoted(name: string): string {
  return JSON.stringify(shown(name))
}

/** Where a number is in an ascending list. */
function placeOf(numbers: readonly number[], wanted: number): number | undefined {
  let low = 0
  let high = numbers.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((numbers[middle] ?? 0) < wanted) low = middle + 1
    else high = middle
  }
  return numbers[low] === wanted ? low : undefined
}
