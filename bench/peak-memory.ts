// The most memory that a process had in use since it was last asked to forget.

import { readFile, writeFile } from 'node:fs/promises'

const BYTES_PER_KIB = 1024
/** proc(5): 5 sets the peak back to what is resident now. */
const FORGET_PEAK = '5'

export type MemoryField = 'VmHWM' | 'VmRSS' | 'RssAnon'

export async function statusBytes(pid: number, field: MemoryField): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]
  if (kibibytes === undefined) throw new Error(`process ${pid} has no ${field}`)
  return Number(kibibytes) * BYTES_PER_KIB
}

export async function forgetPeak(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, FORGET_PEAK)
}
