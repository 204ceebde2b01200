// Looks after damage: lets extents follow to whole copies of their chunks, and ends alerts, a file's when it is deleted or
// reads whole again, a block file's when it is gone or reads well again. What stays damaged costs a read a look, since
// the place where it was found is looked at first.

import { setImmediate as turn } from 'node:timers/promises'
import createDebug from 'debug'
import type { AlertBoard } from '../alerts/index.ts'
import { BLOCK_PAGE_BYTES, scanBlockFile } from '../blocks/index.ts'
import type { BlockRecord, BlockStore } from '../blocks/index.ts'
import type { ExtentMap, Healer, InFlight, StoredReader } from '../stream/index.ts'
import { EXTENT_PAGE_BYTES } from '../stream/index.ts'
import { reportInternalError, reporterOf } from '../internal-errors.ts'
import type { FileInfo } from '../vfs/index.ts'

const log = createDebug('coffer:daemon')

const INTERVAL_MS = 5 * 60 * 1000
/** When something has happened that may end damage: soon, but once for all that happens together, and is stored by then. */
const CALM_MS = 5 * 1000
/** And not more of the time than a twentieth: a look at all extents takes 0.2 s per million chunks. */
const REST_FACTOR = 20
/** Of the event loop: promise 11 allows 20 ms. */
const SLICE_MS = 8

export interface DamageWatchOptions {
  readonly alerts: Pick<AlertBoard, 'ofCode' | 'clear' | 'isRaised' | 'isAnyRaised'>
  readonly blocks: Pick<
    BlockStore,
    'hasBlock' | 'records' | 'pathOf' | 'uncache' | 'readRegion' | 'quarantined' | 'endQuarantine'
  >
  readonly extents: Pick<ExtentMap, 'overlapping' | 'nextOverlapBytes'>
  readonly reader: Pick<StoredReader, 'copy'>
  readonly healer: Pick<Healer, 'healAll'>
  /** how often a known chunk was stored anew, since its block file takes no hits */
  readonly refusedCount: () => number
  /** undefined for a file that is gone */
  readonly fileInfo: (inode: number) => FileInfo | undefined
  /** false once a file is gone for good; an open file without a name is not */
  readonly hasInode: (inode: number) => boolean
  readonly isLocked: (group: number) => boolean
  /** whoever locks a group waits for reads that use its keys */
  readonly inFlight: Pick<InFlight, 'begin'>
}

export class DamageWatch {
  readonly #options: DamageWatchOptions
  /** inode => where in the file damage was found by an earlier look */
  #fileOffsets = new Map<number, number>()
  /** block => the page of a region that could not be read */
  #blockPages = new Map<number, number>()
  #lastMs: number | undefined
  #tookMs = 0
  #news = ''
  #newsMs = 0
  /** the news that was looked at last */
  #seen = ''
  #sliceStartMs = 0
  #looking: Promise<void> | undefined
  #isStopped = false

  constructor(options: DamageWatchOptions) {
    this.#options = options
  }

  /** Call it often: it looks now and then. */
  tick(nowMs: number): void {
    this.#lastMs ??= nowMs
    const sinceMs = nowMs - this.#lastMs
    if (this.#looking !== undefined) {
      this.#tookMs = sinceMs
      return
    }
    if (sinceMs < INTERVAL_MS && !this.#hasNews(nowMs, sinceMs)) return
    this.#lastMs = nowMs
    this.#tookMs = 0
    this.look().catch(reporterOf('looking at damage'))
  }

  /** Data has come again that damaged block files hold, or some were found damaged or freed; and now it is calm. */
  #hasNews(nowMs: number, sinceMs: number): boolean {
    const news = this.#latestNews()
    if (news !== this.#news) {
      this.#news = news
      this.#newsMs = nowMs
    }
    if (news === this.#seen || nowMs - this.#newsMs < CALM_MS) return false
    return sinceMs >= this.#tookMs * REST_FACTOR
  }

  /** Changes with what may end an alert; empty when there is none. */
  #latestNews(): string {
    const { alerts, blocks, refusedCount } = this.#options
    const isDamaged = alerts.isAnyRaised('DAMAGED_BLOCK') || alerts.isAnyRaised('DAMAGED_FILE')
    return isDamaged ? `${refusedCount()}: ${[...blocks.quarantined.keys()].join(' ')}` : ''
  }

  /** One look at everything that is said to be damaged; looks never overlap. */
  async look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    await this.#looking
  }

  /** What is being looked at is left. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.settled()
  }

  /** A look that is under way has ended. */
  async settled(): Promise<void> {
    await this.#looking?.catch(() => undefined)
  }

  async #look(): Promise<void> {
    const { alerts, blocks } = this.#options
    this.#seen = this.#latestNews()
    await this.#heal().catch((error: unknown) => {
      if (!this.#isStopped) reportInternalError('healing', error)
    })
    // All that are remembered, also those that are only counted.
    const subjects = (code: 'DAMAGED_FILE' | 'DAMAGED_BLOCK' | 'DATA_LOST'): number[] =>
      alerts.ofCode(code).map(({ subject }) => Number(subject))
    const files = subjects('DAMAGED_FILE')
    // An alert may be of a block file that is gone.
    const suspects = new Set([...blocks.quarantined.keys(), ...subjects('DAMAGED_BLOCK')])
    // A file that is gone lacks nothing.
    for (const inode of subjects('DATA_LOST')) {
      if (!this.#options.hasInode(inode)) alerts.clear('DATA_LOST', String(inode))
    }
    // Only the disk can tell whether it is well.
    for (const block of suspects) blocks.uncache(block)
    const fileOffsets = new Map<number, number>()
    const needed = new Set<number>()
    for (const inode of files) {
      if (this.#isStopped) return
      const damage = await this.#findInFile(inode).catch((error: unknown) => {
        // Its records can't be read: that is damage, too.
        log('looking at inode %d: %O', inode, error)
        return 'unknown' as const
      })
      if (damage === 'none') alerts.clear('DAMAGED_FILE', String(inode))
      else if (damage !== 'unknown') {
        fileOffsets.set(inode, damage.offsetBytes)
        needed.add(damage.block)
      }
    }
    this.#fileOffsets = fileOffsets
    const blockPages = new Map<number, number>()
    for (const block of suspects) {
      if (this.#isStopped) return
      if (needed.has(block)) continue
      const page = await this.#findInBlock(block)
      if (page !== undefined) blockPages.set(block, page)
      else {
        alerts.clear('DAMAGED_BLOCK', String(block))
        blocks.endQuarantine(block)
      }
    }
    this.#blockPages = blockPages
  }

  async #heal(): Promise<void> {
    await this.#options.healer.healAll(async () => {
      if (this.#isStopped) throw new Error('the daemon ends')
      await this.#breathe()
    })
  }

  async #breathe(): Promise<void> {
    if (performance.now() - this.#sliceStartMs < SLICE_MS) return
    await turn()
    this.#sliceStartMs = performance.now()
  }

  /** The first damage of a file in block files that are gone or suspected. */
  async #findInFile(
    inode: number,
  ): Promise<{ offsetBytes: number; block: number } | 'none' | 'unknown'> {
    const { extents, fileInfo, isLocked } = this.#options
    const file = fileInfo(inode)
    if (file === undefined) return 'none'
    const known = this.#fileOffsets.get(inode)
    if (known !== undefined) {
      const damage = await this.#findInRange(inode, file.group, known, known + 1)
      if (damage !== undefined) return damage
    }
    let at: number | undefined = 0
    while (at < file.sizeBytes) {
      if (this.#isStopped || isLocked(file.group)) return 'unknown'
      at = await extents.nextOverlapBytes(inode, at, file.sizeBytes)
      if (at === undefined) return 'none'
      const damage = await this.#findInRange(inode, file.group, at, at + EXTENT_PAGE_BYTES)
      if (damage !== undefined) return damage
      at += EXTENT_PAGE_BYTES
      await turn()
    }
    return 'none'
  }

  async #findInRange(inode: number, group: number, startBytes: number, endBytes: number) {
    const { blocks, extents, reader } = this.#options
    for (const extent of extents.overlapping(inode, startBytes, endBytes)) {
      const { block } = extent.location
      const isSuspect = !blocks.hasBlock(block) || blocks.quarantined.has(block)
      if (!isSuspect) continue
      const target = Buffer.allocUnsafe(extent.lengthBytes)
      const isWell = await this.#isReadable(group, () =>
        reader.copy(inode, extent.startBytes, target),
      )
      if (!isWell) return { offsetBytes: extent.startBytes, block }
    }
    return undefined
  }

  /** A page at which the block file can't be read; undefined when it is well or gone. */
  async #findInBlock(block: number): Promise<number | undefined> {
    const { blocks } = this.#options
    const known = this.#blockPages.get(block)
    const record = recordOf(blocks, block)
    if (record === undefined) return undefined
    if (known !== undefined && !(await this.#isRegionReadable(record, known))) return known
    const path = blocks.pathOf(block) ?? ''
    let [regions, chunks, page] = [0, 0, 1]
    try {
      for await (const header of scanBlockFile(path)) {
        // What lies beyond, no commit knows of.
        if (header.page * BLOCK_PAGE_BYTES >= record.lengthBytes) break
        page = header.page
        if (this.#isStopped || !(await this.#isRegionReadable(record, page))) return page
        regions++
        chunks += header.chunkCount
      }
    } catch (error) {
      log('scanning block file %d: %O', block, error)
      return page
    } finally {
      blocks.uncache(block)
    }
    // A region whose header is damaged is passed over by the scan.
    return regions < record.regionCount || chunks < record.chunkCount ? page : undefined
  }

  async #isRegionReadable({ block, group }: BlockRecord, page: number): Promise<boolean> {
    return await this.#isReadable(group, async () => {
      const region = await this.#options.blocks.readRegion(block, page)
      region.release()
    })
  }

  /** What is locked can't be read either. */
  async #isReadable(group: number, read: () => Promise<void>): Promise<boolean> {
    if (this.#options.isLocked(group)) return false
    const ended = this.#options.inFlight.begin()
    try {
      await read()
      return true
    } catch (error) {
      log('still damaged: %O', error)
      return false
    } finally {
      ended()
    }
  }
}

function recordOf(blocks: Pick<BlockStore, 'records'>, block: number): BlockRecord | undefined {
  for (const record of blocks.records()) if (record.block === block) return record
  return undefined
}
