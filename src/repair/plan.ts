// From findings to actions. Pure: the same findings and the same evidence give the same plan. What no action is known for is
// left alone, and said.

import { plural } from '../plural.ts'
import { usageRecords } from '../evidence/index.ts'
import { inodeKey, TABLE } from '../metadata/index.ts'
import type { Discovery, NamePlace } from '../scan/index.ts'
import { containerKey, dentryKey, S_IFDIR, shown } from '../vfs/index.ts'
import { STAGES } from './actions.ts'
import type { Action, Deed, LeftAlone, RepairPlan, Stage } from './actions.ts'
import { inodeOf } from './evidence.ts'
import type { Evidence, Remains } from './evidence.ts'

const WHY_QUARANTINE = 'The data is not there; reading it gives EIO, and the file is quarantined.'
const WHY_DATABASE = 'A database is made anew from a copy: see "coffer recover".'
const WHY_LOST =
  'Inodes and counters both say that there were more extents: they have been lost. See "coffer recover".'
const WHY_UNKNOWN = 'Nothing in the store tells what is right.'
const WHY_RECOVER = 'Such a record is mended from a copy: see "coffer recover".'

/** @returns actions in the order of their stages; within one, in the order of the findings */
export function planRepair(found: readonly Discovery[], evidence: Evidence): RepairPlan {
  const planner = new Planner(found, evidence)
  for (const each of found) planner.consider(each)
  return planner.plan()
}

class Planner {
  readonly #evidence: Evidence
  readonly #actions = new Map<string, Action>()
  readonly #left = new Map<string, LeftAlone>()
  /** inodes without a record that get one */
  readonly #salvaged = new Set<number>()
  readonly #danglingNames = new Set<string>()
  readonly #strayNames = new Set<string>()
  readonly #misplacedNames = new Set<string>()
  /** the counters of references disagree with the extents */
  #isUsageWrong = false
  /** inodes disagree with the extents, or extents have lost their inodes */
  #isMappingWrong = false
  /** inodes whose links are counted again */
  readonly #relinked = new Set<number>()

  constructor(found: readonly Discovery[], evidence: Evidence) {
    this.#evidence = evidence
    for (const [inode, remains] of evidence.remains) {
      if (isSalvaged(remains)) this.#salvaged.add(inode)
    }
    for (const { check, subject } of found) {
      if (check === 'name-inode') this.#danglingNames.add(placeOf(subject))
      else if (check === 'name-directory') this.#strayNames.add(placeOf(subject))
      else if (check === 'name-hash') this.#misplacedNames.add(placeOf(subject))
      else if (check === 'inode-links' && subject.delta > 0) this.#relinked.add(subject.inode)
      else if (check === 'usage-counters') this.#isUsageWrong = true
      else if (check === 'inode-mapped') this.#isMappingWrong = true
    }
  }

  plan(): RepairPlan {
    const actions = [...this.#actions.values()]
    const places = new Map(STAGES.map((stage, place) => [stage, place]))
    const placeOfStage = ({ stage }: Action): number => places.get(stage) ?? 0
    actions.sort((a, b) => placeOfStage(a) - placeOfStage(b))
    return { actions, left: [...this.#left.values()] }
  }

  consider(found: Discovery): void {
    switch (found.check) {
      case 'database-files':
        return this.#leave(found, WHY_DATABASE)
      case 'record-readable':
        return this.#record(found)
      case 'counter-inode':
      case 'counter-container':
      case 'counter-block':
        return this.#counter(found)
      case 'name-inode':
      case 'name-directory':
      case 'name-hash':
      case 'name-type':
        return this.#name(found)
      case 'name-container':
        return this.#container(found)
      case 'extent-inode':
      case 'xattr-inode':
        return this.#stray(found)
      case 'orphan-mark':
        return this.#mark(found)
      case 'inode-container':
        return this.#lostContainer(found)
      case 'container-root': {
        const { container, root } = found.subject
        const keys = [containerKey(container), inodeKey(TABLE.inode, root)]
        const text = `Give container ${container} a top directory.`
        return this.#add('containers', found, text, { kind: 'mend-root', container, root }, keys)
      }
      case 'inode-lost': {
        const { inode } = found.subject
        const text = `Give inode ${inode} a name in lost+found of container ${found.subject.container}.`
        return this.#add('lost', found, text, { kind: 'adopt', inode }, [ofInode(inode)])
      }
      case 'inode-links':
      case 'inode-children':
      case 'inode-mapped':
      case 'xattr-flag':
      case 'inode-parent':
        return this.#inode(found)
      case 'container-files':
      case 'container-bytes':
        return this.#sum(found)
      case 'usage-counters':
        return this.#usage(found)
      case 'index-block':
      case 'index-place':
        return this.#delete(found, found.subject.key, 'the index entry')
      case 'block-file':
      case 'block-header': {
        const text = `Quarantine block file ${found.subject.block}: it ${found.subject.reason}.`
        return this.#add('blocks', found, text, { kind: 'quarantine-block', ...found.subject }, [])
      }
      case 'extent-block':
      case 'extent-place':
        return this.#leave(found, WHY_QUARANTINE)
      case 'block-key':
        return this.#leave(found, "Bring the group's keystore back; nothing is lost with it.")
      case 'table-known':
        return this.#leave(found, 'A newer version may have written it.')
      case 'extent-group':
      case 'extent-shape':
      case 'container-group':
      case 'block-record':
        return this.#leave(found, WHY_UNKNOWN)
    }
  }

  #record(found: Discovery & { check: 'record-readable' }): void {
    const { key } = found.subject
    switch (key[0]) {
      case TABLE.inode:
        return this.#remains(found, inodeOf(key))
      case TABLE.dentry:
        return this.#delete(found, key, 'the name')
      case TABLE.chunk:
        return this.#delete(found, key, 'the index entry')
      case TABLE.xattr: {
        const inode = inodeOf(key)
        if (this.#evidence.remains.has(inode)) return
        const text = `Delete the attributes of inode ${inode}, and leave it to its owner alone.`
        const keys = [key, ofInode(inode)]
        return this.#add('records', found, text, { kind: 'drop-xattrs', inode }, keys)
      }
      case TABLE.orphan: {
        const inode = inodeOf(key)
        const text = `Write the mark for deletion of inode ${inode} anew, or take it away.`
        return this.#add('records', found, text, { kind: 'unmark', inode }, [key])
      }
      case TABLE.extents:
        return this.#leave(found, WHY_QUARANTINE)
      default:
        return this.#leave(found, WHY_RECOVER)
    }
  }

  #counter(found: Discovery & { check: 'counter-inode' | 'counter-container' | 'counter-block' }) {
    const { next } = found.subject
    const record = found.check === 'counter-block' ? 'block' : 'inode'
    const what = found.check.replace('counter-', '')
    const deed: Deed =
      found.check === 'counter-block'
        ? { kind: 'raise-block-counter', next }
        : {
            kind: 'raise-counter',
            nextInode: found.check === 'counter-inode' ? next : 0,
            nextContainer: found.check === 'counter-container' ? next : 0,
          }
    const keys = [Buffer.from([TABLE.superblock, ...Buffer.from(record)])]
    this.#add('counters', found, `Set the ${what} counter to ${next}.`, deed, keys)
  }

  #name(
    found: Discovery & { check: 'name-inode' | 'name-directory' | 'name-hash' | 'name-type' },
  ): void {
    const { check, subject } = found
    const place = placeOf(subject)
    const isDangling = this.#danglingNames.has(place)
    const isStray = this.#strayNames.has(place)
    // What is a consequence of a missing inode that comes back is none any more.
    if (check === 'name-inode' && this.#salvaged.has(subject.target)) {
      return this.#remains(found, subject.target)
    }
    if (check === 'name-directory' && this.#salvaged.has(subject.parent)) {
      return this.#remains(found, subject.parent)
    }
    const what = `${quoted(subject.name)} in directory ${subject.parent}`
    const keys = [keyOf(subject), ofInode(subject.parent), ofInode(subject.target)]
    const add = (text: string, kind: 'remove-name' | 'set-name-type' | 'restore-name') =>
      this.#add('names', found, text, { kind, name: subject }, keys)
    if (check === 'name-inode') {
      const isFound = !isStray && !this.#misplacedNames.has(place)
      if (isFound) add(`Remove the name ${what}, which leads nowhere.`, 'remove-name')
      else this.#delete(found, keyOf(subject), `the name ${what}, which leads nowhere,`, 'names')
    } else if (check === 'name-directory') {
      if (isDangling || this.#salvaged.has(subject.target)) return
      const text = `Move the name ${what} to lost+found.`
      this.#add('names', found, text, { kind: 'move-name', name: subject }, keys)
    } else if (check === 'name-hash') {
      if (isDangling || isStray) return
      add(`Put the name ${what} where it belongs.`, 'restore-name')
    } else add(`Correct the type that the name ${what} says.`, 'set-name-type')
  }

  #container(found: Discovery & { check: 'name-container' }): void {
    const { target: inode, container: to, inodeContainer: from } = found.subject
    const { containers } = this.#evidence
    const [source, target] = [containers.get(from), containers.get(to)]
    if (target === undefined || this.#evidence.lostContainers.has(from)) return
    if (source !== undefined && source.group !== target.group) {
      return this.#leave(found, 'The two containers belong to different storage groups.')
    }
    const text = `Put inode ${inode} into container ${to}, where its name is.`
    const deed: Deed = { kind: 'set-container', inode, from, to }
    const keys = [ofInode(inode), containerKey(from), containerKey(to)]
    this.#add('names', found, text, deed, keys)
  }

  #stray(found: Discovery & { check: 'extent-inode' | 'xattr-inode' }): void {
    const { inode, key } = found.subject
    if (found.check === 'extent-inode' && !found.subject.exists) return this.#remains(found, inode)
    if (this.#evidence.remains.has(inode)) return
    this.#delete(found, key, `what belongs to no file (inode ${inode})`)
  }

  #mark(found: Discovery & { check: 'orphan-mark' }): void {
    const { inode, isMarked, exists } = found.subject
    const keys = [inodeKey(TABLE.orphan, inode), ofInode(inode)]
    if (!exists && this.#evidence.remains.has(inode)) return
    if (isMarked) {
      const text = `Take the mark for deletion off inode ${inode}.`
      this.#add('records', found, text, { kind: 'unmark', inode }, keys)
    } else if (!this.#relinked.has(inode)) {
      const text = `Delete inode ${inode}, which nothing names and which counts no links.`
      this.#add('lost', found, text, { kind: 'mark', inode }, keys)
    }
  }

  #lostContainer(found: Discovery & { check: 'inode-container' }): void {
    const { container, inode } = found.subject
    const lost = this.#evidence.lostContainers.get(container)
    if (lost === undefined) {
      return this.#leave(found, `Where inode ${inode} belongs is known by its name alone.`)
    }
    const text = `Make the record of container ${container} (${quoted(lost.name)}) anew.`
    const deed: Deed = { kind: 'restore-container', container, ...lost }
    this.#add('containers', found, text, deed, [containerKey(container)])
  }

  #inode(
    found: Discovery & {
      check: 'inode-links' | 'inode-children' | 'inode-mapped' | 'xattr-flag' | 'inode-parent'
    },
  ): void {
    const { inode } = found.subject
    const keys = [ofInode(inode)]
    if (found.check === 'inode-parent') {
      const { parent } = found.subject
      if (parent === 0) return this.#leave(found, WHY_UNKNOWN)
      const deed: Deed = { kind: 'set-parent', ...found.subject }
      return this.#add('names', found, `Let directory ${inode} know its parent.`, deed, keys)
    }
    if (found.check === 'xattr-flag') {
      const { has } = found.subject
      const text = `Let inode ${inode} know that it has ${has ? 'some' : 'no'} attributes.`
      return this.#add('counts', found, text, { kind: 'set-xattr-flag', inode, has }, keys)
    }
    if (found.check === 'inode-mapped' && this.#isUsageWrong) return this.#leave(found, WHY_LOST)
    const { delta } = found.subject
    const kind = {
      'inode-links': 'add-links',
      'inode-children': 'add-children',
      'inode-mapped': 'add-mapped',
    } as const
    const what = { 'inode-links': 'links', 'inode-children': 'entries', 'inode-mapped': 'bytes' }
    const text = `Correct what inode ${inode} counts by ${signed(delta)} ${what[found.check]}.`
    this.#add('counts', found, text, { kind: kind[found.check], inode, delta }, keys)
  }

  /** Two of three sources decide: extents, inodes, counters. */
  #usage(found: Discovery & { check: 'usage-counters' }): void {
    if (this.#isMappingWrong) return this.#leave(found, WHY_LOST)
    const { correction } = found.subject
    const deed: Deed = { kind: 'correct-usage', correction }
    const keys = [...usageRecords(correction)].map(({ key }) => key)
    this.#add('references', found, 'Count the references to block files anew.', deed, keys)
  }

  #sum(found: Discovery & { check: 'container-files' | 'container-bytes' }): void {
    const { container, delta } = found.subject
    const isFiles = found.check === 'container-files'
    const [bytes, files] = isFiles ? [0, delta] : [delta, 0]
    const what = isFiles ? 'files' : 'bytes'
    const text = `Correct what container ${container} counts by ${signed(delta)} ${what}.`
    const deed: Deed = { kind: 'recount-container', container, bytes, files }
    this.#add('sums', found, text, deed, [containerKey(container)])
  }

  /** An inode without a record: what is left of it says what becomes of it. */
  #remains(found: Discovery, inode: number): void {
    const remains = this.#evidence.remains.get(inode)
    if (remains === undefined) return this.#leave(found, WHY_UNKNOWN)
    const { names, children, subdirectories, container, extents, hasXattrs, isDamaged } = remains
    const keys = [ofInode(inode), ...names.flatMap(name => [keyOf(name), ofInode(name.parent)])]
    if (isDirectory(remains)) {
      if (container === undefined) return this.#leave(found, WHY_UNKNOWN)
      const directory = { inode, container, children, subdirectories, hasXattrs }
      const [name] = names
      const where = name === undefined ? 'in lost+found' : `as ${quoted(name.name)}`
      const text = `Make directory ${inode} anew ${where}; owner and permissions are lost.`
      this.#add('inodes', found, text, { kind: 'salvage-directory', directory, name }, keys)
    } else if (extents !== undefined) {
      if (container === undefined) return this.#leave(found, WHY_UNKNOWN)
      const { endBytes: sizeBytes, mappedBytes } = extents
      const file = { inode, container, sizeBytes, mappedBytes, hasXattrs }
      const named = names.map(({ name }) => quoted(name)).join(', ')
      const was = named === '' ? '' : ` (was ${named})`
      const text = `Save what is left of inode ${inode}${was} in lost+found of container ${container}.`
      this.#add('inodes', found, text, { kind: 'salvage-file', file, names }, keys)
    } else if (isDamaged) {
      const text = `Delete inode ${inode}, of which nothing is left, and its ${plural(names.length, 'name')}.`
      this.#add('inodes', found, text, { kind: 'drop-inode', inode, names }, keys)
    }
  }

  #delete(found: Discovery, key: Buffer, what: string, stage: Stage = 'records'): void {
    const text = `Delete the record ${key.toString('hex')}: ${what}.`.replace(',.', '.')
    this.#add(stage, found, text, { kind: 'delete-record', key }, [key])
  }

  /** The same line is the same action: several findings may lead to it. */
  #add(stage: Stage, { check }: Discovery, text: string, deed: Deed, keys: readonly Buffer[]) {
    if (!this.#actions.has(text)) this.#actions.set(text, { stage, check, text, deed, keys })
  }

  #leave({ check, text }: Discovery, why: string): void {
    this.#left.set(text, { check, text, why })
  }
}

function isDirectory({ children, isDamaged, names }: Remains): boolean {
  return children > 0 || (isDamaged && names.some(({ type }) => type === S_IFDIR))
}

function isSalvaged(remains: Remains): boolean {
  const { container, extents } = remains
  return container !== undefined && (isDirectory(remains) || extents !== undefined)
}

function placeOf({ parent, hash, name }: NamePlace): string {
  return `${parent}/${hash}/${name}`
}

function keyOf({ parent, hash, name }: NamePlace): Buffer {
  return dentryKey(parent, hash, name)
}

function ofInode(inode: number): Buffer {
  return inodeKey(TABLE.inode, inode)
}

function signed(delta: number): string {
  return delta > 0 ? `+${delta}` : String(delta)
}

function quoted(name: string): string {
  return JSON.stringify(shown(name))
}
