// Makes the stores that are damaged: several lives, three groups, dead and half-dead block files, tables and a log of
// LevelDB. Of each store there is the original, what its files hold, and older versions of its files.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Random } from '../helpers/random.ts'
import { compactMetadata, CONTAINERS, extentsIn, Store, type FoundExtent } from './adapter.ts'
import { bytesOf, modelOf, type DraftFile, type Model, type Piece } from './model.ts'

/** natural: as lives leave it; compacted: larger tables on several levels; logged: a long log. */
export const VARIANTS = ['natural', 'compacted', 'logged'] as const
export type Variant = (typeof VARIANTS)[number]

const LIVES = 5
/** In this life all that goes to the first container is deleted later: its block file is dead. */
const DEAD_LIFE = 1
/** The life after which the cleaner has run once, so that data has been moved. */
const CLEANED_LIFE = 2
const SMALL_FILES = 25
const LARGE_BYTES = [300_000, 700_000, 500_000]
/** Attributes of this size fill more than one table. */
const WIDE_BYTES = 8000
const SPARSE_BYTES = 12 * 1024 * 1024
/** Beyond the size up to which holes are counted before they are believed. */
const HUGE_BYTES = 24 * 1024 ** 3

export interface PreparedStore {
  readonly variant: Variant
  /** holds `store` and `keystore-backup`, never opened again */
  readonly keep: string
  /** directories with older versions of the store's files */
  readonly older: readonly string[]
  readonly modelPath: string
  readonly model: Model
  readonly extents: readonly FoundExtent[]
}

export function copyTree(from: string, to: string): void {
  execFileSync('cp', ['-a', '--reflink=auto', from, to])
}

/** A store and its model, changed together. */
class Draft {
  readonly directories = new Set<string>(CONTAINERS)
  readonly files = new Map<string, DraftFile>()
  readonly random: Random
  store: Store | undefined
  #seed: number

  constructor(random: Random) {
    this.random = random
    this.#seed = random.below(2 ** 30)
  }

  get open(): Store {
    if (this.store === undefined) throw new Error('the store is closed')
    return this.store
  }

  mkdir(path: string): void {
    this.directories.add(path)
    this.open.mkdir(path)
  }

  async write(path: string, atBytes: number, lengthBytes: number, isText = false): Promise<void> {
    const piece: Piece = { atBytes, lengthBytes, seed: this.#seed++, isText }
    const file = this.files.get(path) ?? { sizeBytes: 0, pieces: [], xattrs: {} }
    this.files.set(path, file)
    file.pieces.push(piece)
    file.sizeBytes = Math.max(file.sizeBytes, atBytes + lengthBytes)
    await this.open.write(path, atBytes, bytesOf(piece))
  }

  async grow(path: string, sizeBytes: number): Promise<void> {
    const file = this.files.get(path)
    if (file === undefined) throw new Error(`there is no ${path}`)
    file.sizeBytes = sizeBytes
    await this.open.truncate(path, sizeBytes)
  }

  async clone(path: string, to: string): Promise<void> {
    const file = this.files.get(path)
    if (file === undefined) throw new Error(`there is no ${path}`)
    this.files.set(to, { sizeBytes: file.sizeBytes, pieces: [...file.pieces], xattrs: {} })
    await this.open.clone(path, to, file.sizeBytes)
  }

  async link(path: string, to: string): Promise<void> {
    const file = this.files.get(path)
    if (file === undefined) throw new Error(`there is no ${path}`)
    this.files.set(to, file)
    await this.open.link(path, to)
  }

  async setXattr(path: string, name: string, value: string): Promise<void> {
    const file = this.files.get(path)
    if (file === undefined) throw new Error(`there is no ${path}`)
    file.xattrs[name] = value
    await this.open.setXattr(path, name, value)
  }

  remove(path: string): void {
    this.files.delete(path)
    this.open.remove(path)
  }
}

/** Makes the store, or takes the one that an earlier run has left there. */
export async function prepareStore(
  work: string,
  variant: Variant,
  seed: number,
): Promise<PreparedStore> {
  const place = join(work, variant)
  if (!existsSync(place)) await makeStore(place, variant, new Random(seed))
  const read = (name: string): unknown => JSON.parse(readFileSync(join(place, name), 'utf8'))
  return {
    variant,
    keep: join(place, 'keep'),
    older: [join(place, 'older-0'), join(place, 'older-1')],
    modelPath: join(place, 'model.json'),
    model: read('model.json') as Model,
    extents: read('extents.json') as FoundExtent[],
  }
}

async function makeStore(place: string, variant: Variant, random: Random): Promise<void> {
  const making = `${place}.new`
  rmSync(making, { recursive: true, force: true })
  const keep = join(making, 'keep')
  mkdirSync(keep, { recursive: true })
  const draft = new Draft(random)
  for (let life = 0; life < LIVES; life++) {
    draft.store = await Store.open(keep)
    if (life === 0) await draft.open.furnish()
    else await draft.open.unlock()
    await liveOnce(draft, life, variant)
    if (life === CLEANED_LIFE) await draft.open.pass('manual')
    if (life === 1 || life === LIVES - 1) {
      await draft.open.sync()
      copyTree(join(keep, 'store'), join(making, life === 1 ? 'older-0' : 'older-1'))
      await changeSome(draft, life)
    }
    await draft.open.close()
    if (life === LIVES - 2 && variant === 'compacted')
      await compactMetadata(join(keep, 'store/metadata'))
  }
  const model = modelOf(draft.directories, draft.files)
  writeFileSync(join(making, 'model.json'), JSON.stringify(model))
  const extents = await extentsIn(join(keep, 'store/metadata'), join(making, 'scratch'))
  writeFileSync(join(making, 'extents.json'), JSON.stringify(extents))
  renameSync(making, place)
}

async function liveOnce(draft: Draft, life: number, variant: Variant): Promise<void> {
  for (const container of CONTAINERS) {
    const directory = `${container}/life-${life}`
    draft.mkdir(directory)
    draft.mkdir(`${directory}/nested`)
    for (const [index, lengthBytes] of LARGE_BYTES.entries()) {
      await draft.write(`${directory}/large-${index}`, 0, lengthBytes, index === 2)
      await draft.open.sync()
    }
    const isLong = variant === 'logged' && life === LIVES - 1
    for (let index = 0; index < SMALL_FILES * (isLong ? 3 : 1); index++) {
      const parent = index % 3 === 0 ? `${directory}/nested` : directory
      const path = `${parent}/small-${index}-${'n'.repeat(20 + draft.random.below(120))}`
      await draft.write(path, 0, 1 + draft.random.below(12_000), index % 2 === 0)
      const isWide = variant === 'compacted' && life < LIVES - 1
      if (index % 4 === 0 || isWide) {
        await draft.setXattr(path, 'user.note', 'x'.repeat(isWide ? WIDE_BYTES : 10 + index * 20))
      }
      if (index % 10 === 0) await draft.link(path, `${directory}/link-${index}`)
      if (isLong && index % 10 === 0) await draft.open.sync()
    }
    await draft.clone(`${directory}/large-1`, `${directory}/clone`)
  }
  if (life === 0) await writeSparse(draft)
  if (life > 0) await changeSome(draft, life)
  if (life === LIVES - 2) killDeadLife(draft)
}

/** A file of holes with islands of data, and one that is larger than 16 GiB. */
async function writeSparse(draft: Draft): Promise<void> {
  for (const [name, sizeBytes] of [
    ['plain/sparse', SPARSE_BYTES],
    ['packed/huge', HUGE_BYTES],
  ] as const) {
    for (let island = 0; island < 6; island++) {
      const at = Math.floor((sizeBytes * island) / 6) + draft.random.below(1_000_000)
      await draft.write(name, at, 50_000 + draft.random.below(50_000))
    }
    await draft.grow(name, sizeBytes)
  }
}

/** Overwrites and deletions in what the life before has left. */
async function changeSome(draft: Draft, life: number): Promise<void> {
  for (const container of CONTAINERS) {
    const directory = `${container}/life-${life - 1}`
    const large = `${directory}/large-1`
    if (draft.files.has(large)) await draft.write(large, 300_000, 150_000)
    if (draft.files.has(`${directory}/large-0`)) draft.remove(`${directory}/large-0`)
    const small = [...draft.files.keys()].filter(path => path.startsWith(`${directory}/small`))
    for (const path of small.slice(0, 5)) draft.remove(path)
    for (const path of small.slice(5, 8)) await draft.write(path, 100, 500)
  }
}

function killDeadLife(draft: Draft): void {
  for (const path of draft.files.keys()) {
    if (path.startsWith(`plain/life-${DEAD_LIFE}/`)) draft.remove(path)
  }
}
