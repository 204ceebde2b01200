// After a start, compares the size of each block file with its record, beside the work: a file that is missing or too short
// is damage that reads would meet one by one, the last ones perhaps years later. Nothing is read but sizes.

import { stat } from 'node:fs/promises'
import createDebug from 'debug'
import type { AlertBoard } from '../alerts/index.ts'
import type { BlockRecord, BlockStore } from '../blocks/index.ts'
import { reporterOf } from '../internal-errors.ts'
import { reportDamagedBlock } from './cleaning.ts'

const log = createDebug('coffer:daemon')

export interface BlockFileCheckOptions {
  readonly blocks: Pick<
    BlockStore,
    'records' | 'hasBlock' | 'pathOf' | 'quarantine' | 'quarantined'
  >
  readonly alerts: Pick<AlertBoard, 'raise'>
}

export class BlockFileCheck {
  readonly #options: BlockFileCheckOptions
  #isStopped = false
  #done: Promise<void> = Promise.resolve()

  constructor(options: BlockFileCheckOptions) {
    this.#options = options
  }

  /** Begins; what is found is quarantined and raises DAMAGED_BLOCK, as a scan does. */
  start(): void {
    this.#done = this.#check().catch(reporterOf('comparing block files with their records'))
  }

  /** Resolves when all block files have been looked at. */
  async settled(): Promise<void> {
    await this.#done
  }

  /** Leaves what has not been looked at yet. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#done
  }

  async #check(): Promise<void> {
    const { blocks, alerts } = this.#options
    // All at once: a block file that is made later has its record before it is on disk.
    const records = [...blocks.records()]
    for (const record of records) {
      if (this.#isStopped) return
      if (blocks.quarantined.has(record.block)) continue
      const reason = await this.#damageOf(record)
      // The cleaner may have freed it meanwhile.
      if (reason === undefined || this.#isStopped || !blocks.hasBlock(record.block)) continue
      reportDamagedBlock(blocks, alerts, record.block, `${reason}.`)
    }
  }

  async #damageOf({ block, lengthBytes, regionCount }: BlockRecord): Promise<string | undefined> {
    // Its record was committed when its number was given out, which a power cut can leave without the file.
    if (regionCount === 0) return undefined
    const path = this.#options.blocks.pathOf(block)
    if (path === undefined) return undefined
    try {
      const { size } = await stat(path)
      if (size >= lengthBytes) return undefined
      return `the file has ${size} bytes, and should have at least ${lengthBytes}`
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
        return 'the file is missing'
      }
      // What the disk can't tell, a read will.
      log('block file %d: %O', block, error)
      return undefined
    }
  }
}
