// Named points before and after every durable step of the store, at which a test lets this process die, or the step fail.
// Armed by one environment variable that is read at the start; otherwise a step is a function call and nothing else.
//
//   COFFER_FAULT=STEP.before:KIND:SKIP    or STEP.after; KIND is kill, EIO, ENOSPC or short (where bytes are written)
//   COFFER_FAULT=STEP.before:lost         for a sync: it is never done, and nobody hears of it
//   COFFER_FAULT=trace                    every point is told on standard error as it is reached
//
// A fault happens once, when the point has been reached SKIP times before; only `lost` is there to stay.

import { writeSync } from 'node:fs'

/** All durable steps: the tests walk through this list, and fail when one of them is never reached. */
export const DURABLE_STEPS = [
  'block.folder',
  'block.create',
  'block.append',
  'block.sync',
  'block.directory-sync',
  'trash.take',
  'trash.give-back',
  'trash.delete',
  'trash.directory-sync',
  'metadata.batch',
  'note.create',
  'note.write',
  'note.sync',
  'store.folder',
  'format.write',
  'format.sync',
  'format.rename',
  'format.directory-sync',
  'identity.write',
  'identity.sync',
  'identity.rename',
  'identity.directory-sync',
  'registry.write',
  'registry.sync',
  'registry.rename',
  'registry.directory-sync',
  'keystore.write',
  'keystore.sync',
  'keystore.rename',
  'keystore.directory-sync',
  'keystore.aside',
  'keystore.aside-sync',
  'keystore.wipe',
  'keystore.wipe-sync',
  'keystore.remove',
  'keystore.remove-sync',
  'mail-password.write',
  'mail-password.sync',
  'mail-password.rename',
  'mail-password.directory-sync',
  'repair-backup.write',
  'repair-backup.sync',
  'repair-backup.rename',
  'repair-backup.directory-sync',
] as const
export type DurableStep = (typeof DURABLE_STEPS)[number]

/** Small files that are written whole or not at all; see durable-file.ts. */
export type DurableFile =
  'format' | 'identity' | 'registry' | 'keystore' | 'mail-password' | 'repair-backup'

export const FAULT_KINDS = ['kill', 'EIO', 'ENOSPC', 'short'] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

/** A sync that is never done: what a test for lost data has to find. */
const LOST = 'lost'

interface Fault {
  readonly point: string
  readonly kind: FaultKind | typeof LOST
  /** how often the point is still to be passed */
  skip: number
}

const STDERR = 2
const SETTING = process.env['COFFER_FAULT']
const isTraced = SETTING === 'trace'
const fault = SETTING === undefined || isTraced ? undefined : parseFault(SETTING)

/** Does one durable step. */
export function durably<Result>(step: DurableStep, work: () => Promise<Result>): Promise<Result> {
  return SETTING === undefined ? work() : withPoints(step, work)
}

/** The same for a step that makes durable what was written before. */
export function durablySync(step: DurableStep, sync: () => Promise<void>): Promise<void> {
  return isLost(step) ? Promise.resolve() : durably(step, sync)
}

/** Whether a test wants to see what becomes of a store without this sync. */
export function isLost(step: DurableStep): boolean {
  return fault?.kind === LOST && fault.point === `${step}.before`
}

/** The same for a step that writes these bytes: it may end in their middle. */
export function durablyWrite<Result>(
  step: DurableStep,
  bytes: Uint8Array,
  write: (bytes: Uint8Array) => Promise<Result>,
): Promise<Result> {
  if (SETTING === undefined) return write(bytes)
  return withPoints(step, async () => {
    if (!isDue(`${step}.before`, 'short')) return write(bytes)
    await write(bytes.subarray(0, Math.floor(bytes.length / 2)))
    throw failure(`${step}.before`, 'ENOSPC')
  })
}

async function withPoints<Result>(step: DurableStep, work: () => Promise<Result>): Promise<Result> {
  reach(`${step}.before`)
  const result = await work()
  reach(`${step}.after`)
  return result
}

function reach(point: string): void {
  if (isTraced) writeSync(STDERR, `reached ${point}\n`)
  if (fault === undefined || fault.kind === 'short' || fault.kind === LOST) return
  if (!isDue(point, fault.kind)) return
  if (fault.kind === 'kill') process.kill(process.pid, 'SIGKILL')
  throw failure(point, fault.kind)
}

function isDue(point: string, kind: FaultKind): boolean {
  if (fault?.point !== point || fault.kind !== kind) return false
  return fault.skip-- === 0
}

function failure(point: string, code: string): Error {
  return Object.assign(new Error(`${code}: the fault at ${point}`), { code })
}

function parseFault(setting: string): Fault {
  const [point = '', kind, skip = '0'] = setting.split(':')
  const known = [...FAULT_KINDS, LOST].find(each => each === kind) as Fault['kind'] | undefined
  const isStep = DURABLE_STEPS.some(step => point === `${step}.before` || point === `${step}.after`)
  if (known === undefined || !isStep) throw new Error(`COFFER_FAULT names no fault: ${setting}`)
  return { point, kind: known, skip: Number(skip) }
}
