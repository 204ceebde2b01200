// Repairs in operation, one at a time. A repair looks at all records itself, plans, and does the actions of the first stage
// that has any; then it looks again, until nothing is left that it knows an action for. Reports of scans are older than the
// store is by then, and keep only the first findings of each check.

import { CofferError } from '../errors.ts'
import { reportInternalError } from '../internal-errors.ts'
import { LostFiles, pathsOf, scanMetadata, Suspects } from '../scan/index.ts'
import type { Discovery, LostFile, ScanPace, ScanParts, ScanProgress } from '../scan/index.ts'
import type { Action, LeftAlone, RepairPlan } from './actions.ts'
import { backupName, packBackup } from './backup.ts'
import { gatherEvidence } from './evidence.ts'
import { execute } from './execute.ts'
import type { RepairTarget } from './execute.ts'
import { planRepair } from './plan.ts'
import {
  ACTIONS_KEPT_MAX,
  LEFT_KEPT_MAX,
  QUARANTINED_BLOCKS_MAX,
  QUARANTINED_FILES_MAX,
} from './repair-book.ts'
import type { QuarantinedFile, RepairBook, RepairReport } from './repair-book.ts'

/** Findings of one look: they are held in memory, and what is beyond is seen by the next look. */
const FINDINGS_MAX = 10_000
/** A stage and what follows from it: each brings the store nearer to whole, and twice as many is a mistake. */
const ROUNDS_MAX = 50
/** An action that finds things otherwise than planned is tried once more. */
const TRIES_MAX = 2
const TEXT_CHARACTERS_MAX = 400

export interface RepairerOptions {
  readonly scan: ScanParts
  readonly target: RepairTarget
  readonly book: RepairBook
  readonly groups: () => readonly number[]
  readonly frame: (key: Uint8Array) => Uint8Array | undefined
  /** Durable when it resolves. */
  readonly keep: (name: string, bytes: Buffer) => Promise<void>
  readonly forget: (name: string) => Promise<void>
  /** Extents follow to whole copies of what quarantined block files hold; alerts that are over end. */
  readonly heal: () => Promise<void>
  /** what the last scan that has read data found, as far as it is lost still */
  readonly knownLosses: () => readonly QuarantinedFile[]
  readonly damagedBlocks: () => readonly { readonly block: number; readonly reason: string }[]
  readonly isReadOnly: () => boolean
  readonly nowSeconds: () => number
  readonly newPace: () => ScanPace
  readonly ended: (report: RepairReport) => void
}

interface Run {
  report: RepairReport
  readonly pace: ScanPace
  readonly group: number | undefined
  readonly told: (progress: ScanProgress) => void
}

interface Look {
  readonly plan: RepairPlan
  readonly lost: readonly LostFile[]
  readonly lostCount: number
}

export class Repairer {
  readonly #options: RepairerOptions
  #pace: ScanPace | undefined
  #done: Promise<RepairReport> | undefined
  #isClosed = false

  constructor(options: RepairerOptions) {
    this.#options = options
  }

  get isRunning(): boolean {
    return this.#done !== undefined
  }

  /**
   * What a repair would do now; nothing is written, so a read-only store can be asked too. Stages that come later may see more when the earlier ones are done.
   * @throws CofferError REPAIR_BUSY
   */
  async plan(group: number | undefined): Promise<RepairPlan> {
    this.#checkFree()
    const pace = this.#options.newPace()
    const isReadOnly = this.#options.isReadOnly()
    const { plan } = await this.#look(group, pace, () => undefined, isReadOnly)
    return { ...plan, actions: await this.#named(plan.actions) }
  }

  /**
   * @param told how far it is, whenever that changes
   * @returns the repair, and a promise of its report that never rejects
   * @throws CofferError REPAIR_BUSY, STORE_READ_ONLY
   */
  start(
    group: number | undefined,
    told: (progress: ScanProgress) => void = () => undefined,
  ): { report: RepairReport; done: Promise<RepairReport> } {
    this.#checkFree()
    const { book, nowSeconds, newPace, isReadOnly, scan } = this.#options
    if (isReadOnly()) {
      throw new CofferError('STORE_READ_ONLY', 'The store is read-only; restart the daemon first.')
    }
    const report: RepairReport = {
      id: book.nextId,
      group: group ?? null,
      startedSeconds: nowSeconds(),
      endedSeconds: null,
      outcome: 'running',
      text: '',
      rounds: 0,
      doneCount: 0,
      done: [],
      leftCount: 0,
      left: [],
      quarantinedFileCount: 0,
      backups: [],
    }
    const run: Run = { report, pace: newPace(), group, told }
    const forgotten = book.update(report)
    scan.metadata.touched()
    this.#pace = run.pace
    const done = this.#work(run, forgotten).finally(() => {
      this.#done = undefined
      this.#pace = undefined
    })
    this.#done = done
    return { report, done }
  }

  /** No repair begins any more; what one that runs has done stays, and the next one goes on. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#pace?.stop()
    await this.#done
  }

  #checkFree(): void {
    if (this.#done !== undefined || this.#isClosed) {
      throw new CofferError('REPAIR_BUSY', 'A repair is running; see "coffer jobs show".')
    }
  }

  async #work(run: Run, forgotten: readonly RepairReport[]): Promise<RepairReport> {
    const { book, scan, nowSeconds, ended, forget } = this.#options
    let outcome: RepairReport['outcome']
    let text = ''
    try {
      for (const { backups } of forgotten) for (const name of backups) await forget(name)
      const remaining = await this.#mend(run)
      await this.#quarantine(run, remaining)
      const { doneCount, leftCount, quarantinedFileCount } = run.report
      const isDamaged = quarantinedFileCount > 0 || book.quarantine.blocks.length > 0
      if (leftCount > 0 || isDamaged) outcome = 'incomplete'
      else outcome = doneCount > 0 ? 'repaired' : 'clean'
    } catch (error) {
      outcome = run.pace.isStopped ? 'stopped' : 'failed'
      if (outcome === 'failed') reportInternalError('a repair', error)
      text = error instanceof Error ? error.message : String(error)
    }
    run.report = { ...run.report, outcome, text, endedSeconds: nowSeconds() }
    book.update(run.report)
    scan.metadata.touched()
    ended(run.report)
    return run.report
  }

  /** @returns the last look, at which nothing was left to be done */
  async #mend(run: Run): Promise<Look> {
    const tries = new Map<string, number>()
    for (let round = 1; round <= ROUNDS_MAX; round++) {
      const look = await this.#look(run.group, run.pace, run.told)
      run.report = { ...run.report, rounds: round }
      const pending = look.plan.actions.filter(({ text }) => (tries.get(text) ?? 0) < TRIES_MAX)
      const stage = pending[0]?.stage
      if (stage === undefined) return this.#afterHealing(run, look, tries)
      const actions = await this.#named(pending.filter(action => action.stage === stage))
      await this.#keepRecords(run, round, actions)
      for (const [place, action] of pending.filter(each => each.stage === stage).entries()) {
        tries.set(action.text, (tries.get(action.text) ?? 0) + 1)
        run.told({ phase: `repair ${stage}`, doneBytes: 0, totalBytes: 0 })
        if (this.#tryAction(action)) noteDone(run, actions[place] ?? action)
        await run.pace.step()
      }
      this.#options.book.update(run.report)
      await this.#options.scan.metadata.commit()
    }
    throw new CofferError('REPAIR_ENDLESS', `There is more to repair after ${ROUNDS_MAX} looks.`)
  }

  async #afterHealing(run: Run, look: Look, tries: ReadonlyMap<string, number>): Promise<Look> {
    await this.#options.heal()
    const isDamaged =
      look.lostCount > 0 || look.plan.actions.some(({ stage }) => stage === 'blocks')
    const last = isDamaged ? await this.#look(run.group, run.pace, () => undefined) : look
    // What is planned still was tried in vain.
    const failed = last.plan.actions
      .filter(({ text, stage }) => stage === 'blocks' || tries.has(text))
      .map(({ check, text, stage }) => ({
        check,
        text,
        why: stage === 'blocks' ? 'Reading tells what is lost.' : 'It was tried, and is as it was.',
      }))
    const left = [...last.plan.left, ...failed]
    run.report = {
      ...run.report,
      leftCount: left.length,
      left: left.slice(0, LEFT_KEPT_MAX).map(bounded),
    }
    return last
  }

  /** One that meets a record that can't be read leaves it. */
  #tryAction({ deed }: Action): boolean {
    try {
      return execute(this.#options.target, deed)
    } catch (error) {
      if (error instanceof CofferError) return false
      throw error
    }
  }

  async #look(
    group: number | undefined,
    pace: ScanPace,
    told: (progress: ScanProgress) => void,
    isReadOnly = false,
  ): Promise<Look> {
    const { scan, groups } = this.#options
    const found: Discovery[] = []
    const lost = new LostFiles()
    await scanMetadata(scan, {
      group,
      suspects: new Suspects(),
      lost,
      found: (check, text, subject) => {
        // The compiler can't know that the three belong together.
        if (found.length < FINDINGS_MAX) found.push({ check, text, subject } as Discovery)
      },
      phase: phase => told({ phase, doneBytes: 0, totalBytes: 0 }),
      step: async () => pace.step(),
      isReadOnly,
    })
    const snapshot = scan.metadata.snapshot()
    try {
      const options = { snapshot, groups: groups(), step: () => pace.step() }
      const plan = planRepair(found, await gatherEvidence(options, found))
      return { plan, lost: lost.list(), lostCount: lost.fileCount }
    } finally {
      await snapshot.close()
    }
  }

  /** The same actions, with the paths of the inodes that they name. */
  async #named(actions: readonly Action[]): Promise<Action[]> {
    const inodes = new Set<number>()
    for (const { deed } of actions) if ('inode' in deed) inodes.add(deed.inode)
    const paths = await this.#pathsOf(inodes)
    return actions.map(action => {
      const path = 'inode' in action.deed ? paths.get(action.deed.inode) : undefined
      return path === undefined ? action : { ...action, text: `${action.text} (${path})` }
    })
  }

  async #pathsOf(inodes: ReadonlySet<number>): Promise<ReadonlyMap<number, string>> {
    const snapshot = this.#options.scan.metadata.snapshot()
    const pace = this.#options.newPace()
    try {
      return await pathsOf({ snapshot, step: () => pace.step() }, inodes)
    } finally {
      await snapshot.close()
    }
  }

  async #keepRecords(run: Run, round: number, actions: readonly Action[]): Promise<void> {
    const { nowSeconds, frame, keep } = this.#options
    const keys = new Map<string, Buffer>()
    for (const action of actions) {
      for (const key of action.keys) keys.set(key.toString('latin1'), key)
    }
    if (keys.size === 0) return
    const seconds = nowSeconds()
    const records = [...keys.values()].map(key => {
      const found = frame(key)
      return { key, frame: found === undefined ? null : Buffer.from(found) }
    })
    const name = backupName(run.report.id, round, seconds)
    await keep(name, packBackup({ repair: run.report.id, seconds, records }))
    run.report = { ...run.report, backups: [...run.report.backups, name] }
  }

  /** What can't be saved is known damage from now on. */
  async #quarantine(run: Run, { lost, lostCount }: Look): Promise<void> {
    const { knownLosses, damagedBlocks, book } = this.#options
    const paths = await this.#pathsOf(new Set(lost.map(({ inode }) => inode)))
    const files = new Map<number, QuarantinedFile>()
    for (const { inode, ranges, rangeCount, lostBytes } of lost) {
      const path = paths.get(inode) ?? null
      files.set(inode, { inode, path, ranges: [...ranges], rangeCount, lostBytes })
    }
    for (const known of knownLosses()) if (!files.has(known.inode)) files.set(known.inode, known)
    const fileCount = Math.max(lostCount, files.size)
    book.quarantine = {
      files: [...files.values()].slice(0, QUARANTINED_FILES_MAX),
      fileCount,
      blocks: [...damagedBlocks()].slice(0, QUARANTINED_BLOCKS_MAX),
    }
    run.report = { ...run.report, quarantinedFileCount: fileCount }
  }
}

function noteDone(run: Run, { check, text }: Action): void {
  const { done, doneCount } = run.report
  const kept =
    done.length < ACTIONS_KEPT_MAX
      ? [...done, { check, text: text.slice(0, TEXT_CHARACTERS_MAX) }]
      : done
  run.report = { ...run.report, doneCount: doneCount + 1, done: kept }
}

function bounded({ check, text, why }: LeftAlone): LeftAlone {
  return { check, text: text.slice(0, TEXT_CHARACTERS_MAX), why }
}
