// Uses a mount in every way at once for a while, and looks whether the daemon keeps anything of it: memory, descriptors,
// handles, inodes, jobs.

import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { open, readdir, rm, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { connectControl } from '../../src/control/client.ts'
import type { SystemStats } from '../../src/control/index.ts'
import { MountedCoffer } from '../helpers/mounted.ts'
import { CONTAINERS, SECRET_GROUP, workloads } from './workloads.ts'

const SAMPLES = 200
const SAMPLE_MS_MIN = 250
/** Caches fill at first: the trend is looked for in what comes after this share. */
const WARM_UP_SHARE = 1 / 3
/**
 * What may be left as a trend from the end of the warm-up to the end of the run: the store itself and its caches grow a
 * little. What is lost with every request is far beyond it within minutes: thousands of requests a second, some hundred
 * bytes each.
 */
const GROWTH_BYTES_MAX = 48 * 1024 * 1024
const DESCRIPTOR_GROWTH_MAX = 40
/**
 * The memory for unflushed data is bounded, and a piece of it is touched when as many are in use at once for the first time. By
 * chance that takes hours, so it is brought about first: streams that fill the large pieces, and small files that fill the
 * others. All 96 MiB are resident after it.
 */
const BURSTS: readonly (readonly [files: number, bytes: number])[] = [
  [4, 48 * 1024 * 1024],
  [6, 32 * 1024 * 1024],
  [8, 24 * 1024 * 1024],
  [512, 32 * 1024],
]
/** How long what clients let go may take to be given back: a commit, the kernel's forgets. */
const REST_MS = 30_000
/** The root, the containers, and what the kernel keeps of them. */
const REST_INODES_MAX = 16

export interface Sample {
  readonly seconds: number
  readonly rssBytes: number
  /** of that, what is no page of a file: LevelDB maps its tables, of which there are more and more */
  readonly anonymousBytes: number
  readonly descriptors: number
  readonly held: SystemStats['held']
  readonly runningJobs: number
}

export interface SoakReport {
  readonly rounds: Readonly<Record<string, number>>
  readonly samples: readonly Sample[]
  /** of resident memory, from the end of the warm-up to the end of the run, by its trend */
  readonly growthBytes: number
  readonly descriptorGrowth: number
  readonly atRest: Sample
  /** what is wrong; empty = nothing is kept */
  readonly complaints: readonly string[]
}

/** Theil-Sen: the median of the slopes of all pairs, which single spikes don't move. */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const slopes: number[] = []
  for (const [index, [x, y]] of points.entries()) {
    for (const [laterX, laterY] of points.slice(index + 1)) {
      if (laterX > x) slopes.push((laterY - y) / (laterX - x))
    }
  }
  slopes.sort((a, b) => a - b)
  return slopes[Math.floor(slopes.length / 2)] ?? 0
}

/** By how much a figure has grown after the warm-up, by its trend. */
export function growthOf(samples: readonly Sample[], figure: (sample: Sample) => number): number {
  const end = samples.at(-1)?.seconds ?? 0
  const warm = samples.filter(({ seconds }) => seconds >= end * WARM_UP_SHARE)
  const points = warm.map(sample => [sample.seconds, figure(sample)] as const)
  return slopeOf(points) * (end - (warm[0]?.seconds ?? end))
}

/** @param judgesTrend a run of seconds is all warm-up, and shows only what is left at rest */
export async function soak(milliseconds: number, judgesTrend: boolean): Promise<SoakReport> {
  const coffer = new MountedCoffer()
  try {
    await coffer.start()
    await prepare(coffer)
    for (const [files, bytes] of BURSTS) await burst(coffer, files, bytes)
    const { pid } = await coffer.json<{ pid: number }>('status')
    const started = performance.now()
    const end = started + milliseconds
    const sample = (): Promise<Sample> => takeSample(coffer, pid, started)
    const samples: Sample[] = []
    const rounds: Record<string, number> = {}
    let isFailed = false
    const work = workloads(coffer).map(async workload => {
      const { name } = workload
      for (let count = 1; performance.now() < end && !isFailed; count++) {
        try {
          await workload.round(count)
        } catch (error) {
          isFailed = true
          throw new Error(`${name}, round ${count}: ${String(error)}`, { cause: error })
        }
        rounds[name] = count
      }
    })
    const interval = Math.max(SAMPLE_MS_MIN, milliseconds / SAMPLES)
    const sampling = (async () => {
      while (performance.now() < end && !isFailed) {
        samples.push(await sample())
        await pause(interval)
      }
    })()
    const results = await Promise.allSettled([...work, sampling])
    const failed = results.find(result => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    const atRest = await comeToRest(coffer, sample)
    return { rounds, samples, ...judge(samples, atRest, judgesTrend) }
  } finally {
    await coffer.remove()
  }
}

async function prepare(coffer: MountedCoffer): Promise<void> {
  const client = await connectControl(coffer.socket)
  try {
    await client.call('storageGroup.add', { name: SECRET_GROUP, compression: 'best' })
    const next = 'a passphrase that is long enough'
    await client.call('storageGroup.setPassphrase', { name: SECRET_GROUP, next })
    await client.call('storageGroup.encryption', {
      name: SECRET_GROUP,
      set: 'on',
      mode: 'internal',
    })
    const [plain, secret] = CONTAINERS
    await client.call('container.add', { name: plain })
    await client.call('container.add', { name: secret, group: SECRET_GROUP })
  } finally {
    client.close()
  }
}

/** Files that are all open, with unflushed data, at the same time. */
async function burst(coffer: MountedCoffer, count: number, bytes: number): Promise<void> {
  const paths = Array.from({ length: count }, (_, index) =>
    join(coffer.mount, CONTAINERS[0], `burst-${index}`),
  )
  const files = await Promise.all(paths.map(path => open(path, 'wx')))
  try {
    await Promise.all(files.map(file => file.writeFile(randomBytes(bytes))))
  } finally {
    await Promise.all(files.map(file => file.close()))
  }
  await Promise.all(paths.map(path => unlink(path)))
}

async function takeSample(coffer: MountedCoffer, pid: number, started: number): Promise<Sample> {
  const client = await connectControl(coffer.socket)
  try {
    const { rssBytes, held } = await client.call('stats.system', {})
    const { jobs } = await client.call('jobs.list', {})
    return {
      seconds: (performance.now() - started) / 1000,
      rssBytes,
      anonymousBytes: anonymousBytesOf(pid),
      descriptors: readdirSync(`/proc/${pid}/fd`).length,
      held,
      runningJobs: jobs.filter(({ state }) => state === 'running').length,
    }
  } finally {
    client.close()
  }
}

function anonymousBytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const kibibytes = /^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]
  if (kibibytes === undefined) throw new Error('the kernel tells no RssAnon')
  return Number(kibibytes) * 1024
}

/** Removes everything, and waits until what was held for it is given back, or for so long as it may take. */
async function comeToRest(coffer: MountedCoffer, sample: () => Promise<Sample>): Promise<Sample> {
  for (const container of CONTAINERS) {
    const directory = join(coffer.mount, container)
    for (const name of await readdir(directory))
      await rm(join(directory, name), { recursive: true })
  }
  const end = performance.now() + REST_MS
  for (;;) {
    const now = await sample()
    if (complaintsAtRest(now).length === 0 || performance.now() > end) return now
    await pause(SAMPLE_MS_MIN)
  }
}

function complaintsAtRest({ held, runningJobs }: Sample): string[] {
  const limits: readonly (readonly [what: string, value: number, limit: number])[] = [
    ['files are open', held.openFiles, 0],
    ['requests wait', held.requestsWaiting, 0],
    ['replies are in flight', held.repliesInFlight, 0],
    ['bytes are unflushed', held.unflushedBytes, 0],
    ['inodes are known to the kernel', held.referredInodes, REST_INODES_MAX],
    ['inodes are in memory', held.cachedInodes, REST_INODES_MAX],
    ['jobs run', runningJobs, 0],
  ]
  return limits
    .filter(([, value, limit]) => value > limit)
    .map(([what, value, limit]) => `at rest, ${value} ${what} (at most ${limit})`)
}

function judge(samples: readonly Sample[], atRest: Sample, judgesTrend: boolean) {
  const growthBytes = growthOf(samples, ({ rssBytes }) => rssBytes)
  const descriptorGrowth = growthOf(samples, ({ descriptors }) => descriptors)
  const complaints = complaintsAtRest(atRest)
  if (judgesTrend && growthBytes > GROWTH_BYTES_MAX) {
    complaints.push(`resident memory has grown by ${Math.round(growthBytes / 2 ** 20)} MiB`)
  }
  if (judgesTrend && descriptorGrowth > DESCRIPTOR_GROWTH_MAX) {
    complaints.push(`${Math.round(descriptorGrowth)} more descriptors are open`)
  }
  return { growthBytes, descriptorGrowth, atRest, complaints }
}
