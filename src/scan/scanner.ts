// Scans in operation: one at a time, begun when asked for, resumed after a restart, ended with a report and with alerts
// that say what it says.

import { CofferError } from '../errors.ts'
import { reportInternalError } from '../internal-errors.ts'
import { HARMLESS } from './checks.ts'
import type { ScanPace, ScanParts } from './contract.ts'
import { DataScan } from './data-scan.ts'
import { pathsOf } from './file-names.ts'
import { Findings } from './findings.ts'
import { LostFiles } from './lost-files.ts'
import { scanMetadata } from './metadata-scan.ts'
import type { RunningScan, ScanBook, ScanReport } from './scan-book.ts'
import { Suspects } from './suspects.ts'

/** Block files that a report names. */
const SHOWN_BLOCKS_MAX = 200
const TEXT_CHARACTERS_MAX = 1000

export interface ScannerOptions extends ScanParts {
  readonly book: ScanBook
  readonly nowSeconds: () => number
  readonly newPace: () => ScanPace
  /** since when a window for scans has been open, in seconds since 1970; undefined when none is */
  readonly windowAt: (nowSeconds: number) => number | undefined
  /** says what is damaged, and ends what earlier reports said and this one doesn't */
  readonly publish: (report: ScanReport) => void
}

export interface ScanProgress {
  readonly phase: string
  /** 0 of 0 while nobody knows how much there is */
  readonly doneBytes: number
  readonly totalBytes: number
}

interface Run {
  scan: RunningScan
  progress: ScanProgress
  readonly pace: ScanPace
  readonly told: ((progress: ScanProgress) => void) | undefined
  readonly findings: Findings
  readonly lost: LostFiles
  readonly suspects: Suspects
  readonly lockedGroups: Set<number>
  recordCount: number
  /** its window has closed */
  isPaused: boolean
  done: Promise<ScanReport>
}

export class Scanner {
  readonly #options: ScannerOptions
  #run: Run | undefined
  #isClosed = false

  constructor(options: ScannerOptions) {
    this.#options = options
  }

  get running():
    | { readonly scan: RunningScan; readonly progress: ScanProgress; readonly findingCount: number }
    | undefined {
    if (this.#run === undefined) return undefined
    const { scan, progress, findings } = this.#run
    return { scan, progress, findingCount: findings.count }
  }

  /** Of the last scan that ended. */
  get report(): ScanReport | undefined {
    return this.#options.book.report
  }

  /**
   * @param told how far it is, whenever that changes
   * @returns the scan, and a promise of its report that never rejects
   * @throws CofferError SCAN_BUSY
   */
  start(
    what: {
      readonly readsData: boolean
      readonly group?: number | undefined
      /** goes on in the windows of the schedule only */
      readonly isScheduled?: boolean
    },
    told?: (progress: ScanProgress) => void,
  ): { scan: RunningScan; done: Promise<ScanReport> } {
    if (this.#run !== undefined || this.#isClosed) {
      throw new CofferError('SCAN_BUSY', 'A scan is running; see "coffer maintenance scan-status".')
    }
    const scan = this.#options.book.begin({
      readsData: what.readsData,
      group: what.group ?? null,
      startedSeconds: this.#options.nowSeconds(),
      nextBlock: 0,
      readBytes: 0,
      readBlocks: 0,
      isScheduled: what.isScheduled ?? false,
    })
    return { scan, done: this.#begin(scan, new Suspects(), told) }
  }

  /** @returns the report of the scan that ran, undefined when there was none */
  async stop(): Promise<ScanReport | undefined> {
    const { book, metadata } = this.#options
    if (this.#run === undefined && book.current?.isScheduled === true) {
      book.drop()
      metadata.touched()
    }
    this.#run?.pace.stop()
    return this.#run?.done
  }

  /** No scan begins any more; one that runs goes on after the next start. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#run?.pace.stop()
    await this.#run?.done
  }

  /**
   * Called regularly: goes on with what a restart or the end of a window interrupted, begins what a window is for, and lets
   * it wait when that closes.
   */
  tick(): void {
    const { book, nowSeconds, windowAt } = this.#options
    if (this.#isClosed) return
    const openedSeconds = windowAt(nowSeconds())
    const run = this.#run
    if (run !== undefined) {
      if (!run.scan.isScheduled || openedSeconds !== undefined) return
      run.isPaused = true
      run.pace.stop()
      return
    }
    const interrupted = book.current
    if (interrupted !== undefined) {
      if (interrupted.isScheduled && openedSeconds === undefined) return
      void this.#begin(interrupted, new Suspects(book.suspects()), undefined)
    } else if (openedSeconds !== undefined && !this.#hasScannedSince(openedSeconds)) {
      this.start({ readsData: true, isScheduled: true })
    }
  }

  /** One scan of everything in one opening of a window, however it ended and whoever began it. */
  #hasScannedSince(seconds: number): boolean {
    const { report } = this.#options.book
    if (report === undefined || !report.readsData || report.group !== null) return false
    return report.endedSeconds >= seconds
  }

  #begin(
    scan: RunningScan,
    suspects: Suspects,
    told: ((progress: ScanProgress) => void) | undefined,
  ): Promise<ScanReport> {
    this.#options.metadata.touched()
    const run: Run = {
      scan,
      progress: { phase: 'start', doneBytes: 0, totalBytes: 0 },
      pace: this.#options.newPace(),
      told,
      findings: new Findings(),
      lost: new LostFiles(),
      suspects,
      lockedGroups: new Set(),
      recordCount: 0,
      isPaused: false,
      // Not before this scan is known as the running one.
      done: Promise.resolve().then(() => this.#work(run)),
    }
    this.#run = run
    return run.done
  }

  async #work(run: Run): Promise<ScanReport> {
    let outcome: ScanReport['outcome'] = 'clean'
    let text = ''
    let paths: ReadonlyMap<number, string> = new Map()
    try {
      if (run.scan.readsData) await this.#readData(run)
      await this.#readMetadata(run)
      paths = await this.#readPaths(run)
      const harm = run.findings.counts().some(({ check }) => !HARMLESS.has(check))
      if (harm || run.lost.fileCount > 0 || run.suspects.damaged().length > 0) outcome = 'damaged'
      else if (run.lockedGroups.size > 0) outcome = 'incomplete'
      text = notes(run)
    } catch (error) {
      outcome = run.pace.isStopped ? 'stopped' : 'failed'
      if (outcome === 'failed') reportInternalError('a scan', error)
      text = error instanceof Error ? error.message : String(error)
    }
    return this.#end(run, outcome, text, paths)
  }

  async #readData(run: Run): Promise<void> {
    const { blocks, groups, book, metadata } = this.#options
    const { group } = run.scan
    const reader = new DataScan(this.#options, run.pace)
    const records = [...blocks.records()]
      .filter(record => group === null || record.group === group)
      .sort((a, b) => a.block - b.block)
    let doneBytes = 0
    const totalBytes = records.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0)
    for (const record of records) {
      this.#tell(run, { phase: 'data', doneBytes, totalBytes })
      doneBytes += record.lengthBytes
      if (record.block < run.scan.nextBlock) {
        if (groups.isLocked(record.group)) run.lockedGroups.add(record.group)
        continue
      }
      const verdict = await reader.read(record)
      if (verdict === 'locked') run.lockedGroups.add(record.group)
      const wasRead = verdict === 'whole' || typeof verdict === 'object'
      const suspect = typeof verdict === 'object' ? verdict : undefined
      if (suspect !== undefined) run.suspects.add(suspect)
      run.scan = {
        ...run.scan,
        nextBlock: record.block + 1,
        readBytes: run.scan.readBytes + (wasRead ? record.lengthBytes : 0),
        readBlocks: run.scan.readBlocks + Number(wasRead),
      }
      book.update(run.scan, suspect)
      metadata.touched()
    }
  }

  async #readMetadata(run: Run): Promise<void> {
    let bytes = 0
    let phase = ''
    await scanMetadata(this.#options, {
      group: run.scan.group ?? undefined,
      suspects: run.suspects,
      lost: run.lost,
      found: (check, text) => run.findings.add(check, text),
      phase: next => {
        phase = next
        bytes = 0
        this.#tell(run, { phase, doneBytes: 0, totalBytes: 0 })
      },
      step: async recordBytes => {
        run.recordCount++
        bytes += recordBytes
        run.progress = { phase, doneBytes: bytes, totalBytes: 0 }
        await run.pace.step()
      },
    })
  }

  async #readPaths(run: Run): Promise<ReadonlyMap<number, string>> {
    const inodes = new Set(run.lost.list().map(({ inode }) => inode))
    const snapshot = this.#options.metadata.snapshot()
    try {
      return await pathsOf({ snapshot, step: () => run.pace.step() }, inodes)
    } finally {
      await snapshot.close()
    }
  }

  #tell(run: Run, progress: ScanProgress): void {
    run.progress = progress
    run.told?.(progress)
  }

  #end(
    run: Run,
    outcome: ScanReport['outcome'],
    text: string,
    paths: ReadonlyMap<number, string>,
  ): ScanReport {
    const { book, metadata, nowSeconds, publish } = this.#options
    const { id, readsData, group, startedSeconds, readBytes, readBlocks } = run.scan
    const damaged = run.suspects.damaged()
    const report: ScanReport = {
      id,
      readsData,
      group,
      startedSeconds,
      endedSeconds: nowSeconds(),
      outcome,
      text: text.slice(0, TEXT_CHARACTERS_MAX),
      recordCount: run.recordCount,
      readBytes,
      readBlocks,
      checks: run.findings.counts(),
      findings: [...run.findings.kept],
      damagedBlocks: damaged
        .slice(0, SHOWN_BLOCKS_MAX)
        .map(({ block, group: blockGroup, reason }) => ({ block, group: blockGroup, reason })),
      damagedBlockCount: damaged.length + run.suspects.leftOutCount,
      lostFiles: run.lost.list().map(({ ranges, ...file }) => ({
        ...file,
        ranges: [...ranges],
        path: paths.get(file.inode) ?? null,
      })),
      lostFileCount: run.lost.fileCount,
      lostBytes: run.lost.lostBytes,
      lockedGroups: [...run.lockedGroups].sort((a, b) => a - b),
    }
    this.#run = undefined
    // A shutdown interrupts a scan, and so does the end of a window; what is still written down as running goes on later.
    if ((this.#isClosed || run.isPaused) && outcome === 'stopped') return report
    book.end(report)
    metadata.touched()
    publish(report)
    return report
  }
}

/** What a report has to add to its numbers. */
function notes({ suspects, lockedGroups }: Run): string {
  const said: string[] = []
  if (lockedGroups.size > 0) said.push('Block files of locked storage groups were not read.')
  if (suspects.leftOutCount > 0) {
    said.push('More block files are damaged than are listed: not all lost files are known.')
  }
  return said.join(' ')
}
