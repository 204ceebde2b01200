// Power cuts in the middle of writing: the disk as it was at that moment is mounted elsewhere, and what was fsynced
// before is there, byte for byte; what was not is absent, older, or a beginning. COFFER_POWER_CUTS sets how many.

import { constants, open, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { DiskImages, diskImagesSkipReason, FILESYSTEMS } from '../helpers/disk-images.ts'
import { mountSkipReason, MountedCoffer } from '../helpers/mounted.ts'
import { sha256 } from '../helpers/open-store.ts'
import { type Cut, PowerCutRecord } from './power-cut-record.ts'
import { PowerCutWriter } from './power-cut-writer.ts'

const CUTS = Number(process.env['COFFER_POWER_CUTS'] ?? 4)
/** So many are made before they are looked at, so that the images don't fill the disk. */
const CUTS_A_ROUND = 8
const LANES = 3
const CHECKS_AT_ONCE = 3
const EXPECTED_ALERTS = new Set([
  'UNCLEAN_SHUTDOWN',
  'SPACE_LOW',
  'EVENT_LOOP_STALL',
  'MASS_DELETE',
])

type Files = ReadonlyMap<string, Buffer>

interface Checks {
  same(found: unknown, expected: unknown, text: string): unknown
  equal(found: unknown, expected: unknown, text: string): unknown
}

/** What the daemon says now, not what the kernel kept. */
async function readDirectly(path: string): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_DIRECT)
  try {
    return await file.readFile()
  } finally {
    await file.close()
  }
}

async function readAll(directory: string): Promise<Files> {
  const files = new Map<string, Buffer>()
  for (const name of await readdir(directory)) {
    const read = readDirectly(join(directory, name))
    files.set(name, await read.catch((error: Error) => Buffer.from(error.message)))
  }
  return files
}

/** Some of what a running store does: passes of the cleaner, and block files of more than one kind. */
async function makeUnrest(coffer: MountedCoffer, number: number): Promise<void> {
  const compression = number % 4 < 2 ? 'none' : 'fast'
  await coffer.coffer('storage-group', 'update', 'DefaultGroup', '--compression', compression)
  await coffer.coffer('maintenance', 'reclaim-space')
}

/** Writes, and cuts while it does. */
async function cutOften(
  coffer: MountedCoffer,
  images: DiskImages,
  record: PowerCutRecord,
  names: readonly string[],
): Promise<Map<string, Cut>> {
  const directory = join(coffer.mount, 'c')
  const writers = Array.from({ length: LANES }, (_, l) => new PowerCutWriter(directory, record, l))
  const running = Promise.all(writers.map(writer => writer.run()))
  const cuts = new Map<string, Cut>()
  try {
    for (const [number, name] of names.entries()) {
      await delay(200 + Math.random() * 1000)
      // A pass that still runs from the last time is as good.
      if (number % 2 === 1) await makeUnrest(coffer, number).catch(() => undefined)
      await delay(Math.random() * 300)
      const cut = record.beginCut()
      await images.cut(name)
      cuts.set(name, cut.end())
    }
  } finally {
    for (const writer of writers) writer.isStopped = true
    await running
  }
  return cuts
}

async function checkAlerts(t: Checks, coffer: MountedCoffer): Promise<void> {
  const { alerts } = await coffer.json<{ alerts: { code: string }[] }>('alerts', 'show')
  t.same(
    alerts.filter(({ code }) => !EXPECTED_ALERTS.has(code)),
    [],
    'no alert of damage',
  )
}

/** @returns how a pass ended; one that the cut interrupted goes on by itself, and is waited for */
async function clean(coffer: MountedCoffer): Promise<string> {
  for (;;) {
    try {
      const pass = await coffer.json<{ outcome: string }>('maintenance', 'reclaim-space', '--wait')
      return pass.outcome
    } catch (error) {
      if (!(error instanceof Error && error.message.includes('The cleaner is running'))) throw error
      await delay(200)
    }
  }
}

async function checkStore(t: Checks, coffer: MountedCoffer, cut: Cut): Promise<void> {
  await coffer.start()
  const directory = join(coffer.mount, 'c')
  const found = await readAll(directory)
  t.same(cut.wrongs(found), [], 'everything that was promised is there, and nothing is torn')
  t.equal(await clean(coffer), 'complete', 'the cleaner comes to its end')
  const later = await readAll(directory)
  const changed = [...found].filter(([name, bytes]) => {
    const again = later.get(name)
    return again === undefined || sha256(again) !== sha256(bytes)
  })
  t.same(
    changed.map(([name]) => name),
    [],
    'the cleaner has changed nothing',
  )
  await writeFile(join(directory, 'after'), 'goes on')
  t.equal(await readFile(join(directory, 'after'), 'utf8'), 'goes on', 'it can be written')
  await checkAlerts(t, coffer)
}

async function checkCut(t: Checks, images: DiskImages, name: string, cut: Cut): Promise<void> {
  const coffer = new MountedCoffer(await images.mount(name))
  try {
    await checkStore(t, coffer, cut)
  } finally {
    await coffer.remove()
    await images.drop(name)
  }
}

for (const filesystem of FILESYSTEMS) {
  const skip = mountSkipReason || (await diskImagesSkipReason(filesystem))
  const cutCount = Math.ceil(CUTS / FILESYSTEMS.length)
  const timeout = 60_000 + cutCount * 20_000
  t.test(`${cutCount} power cuts of a store on ${filesystem}`, { skip, timeout }, async t => {
    t.jobs = CHECKS_AT_ONCE
    const images = await DiskImages.make(filesystem)
    t.teardown(() => images.remove())
    const coffer = new MountedCoffer(images.disk)
    t.teardown(() => coffer.remove())
    await coffer.start()
    await coffer.coffer('container', 'add', 'c')
    const record = new PowerCutRecord()
    for (let first = 0; first < cutCount; first += CUTS_A_ROUND) {
      const count = Math.min(CUTS_A_ROUND, cutCount - first)
      const names = Array.from({ length: count }, (_, index) => `cut${first + index}`)
      const cuts = await cutOften(coffer, images, record, names)
      const checks = [...cuts].map(([name, cut]) => {
        const title = `${name}: ${cut.promisedCount} names had been promised`
        return t.test(title, { buffered: true }, t => checkCut(t, images, name, cut))
      })
      await Promise.all(checks)
    }
    await checkAlerts(t, coffer)
  })
}
