// Damage on the disk below a real mount: it is found and named, the same backup again heals it, and the alerts end by
// themselves.

import { randomBytes } from 'node:crypto'
import { readdirSync, writeFileSync } from 'node:fs'
import { open, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { mountSkipReason, startedCoffer, tool } from '../helpers/mounted.ts'
import type { MountedCoffer } from '../helpers/mounted.ts'

const FILE_BYTES = 12 * 2 ** 20
/** A region has 512 KiB at most: none stays whole. */
const DAMAGE_INTERVAL_BYTES = 300_000
const SETTLED_SECONDS_MAX = 60
const CONTAINERS = ['clear', 'safe']

interface Alert {
  readonly code: string
  readonly text: string
}

async function damageAlerts(coffer: MountedCoffer): Promise<Alert[]> {
  const { alerts } = await coffer.json<{ alerts: Alert[] }>('alerts', 'show')
  return alerts.filter(({ code }) => code.startsWith('DAMAGED'))
}

/** Turns a byte over in every region of every block file. */
async function damageBlocks(coffer: MountedCoffer): Promise<void> {
  const blocks = join(coffer.store, 'blocks')
  const names = readdirSync(blocks, { recursive: true, encoding: 'utf8' })
  for (const name of names.filter(each => each.endsWith('.blk'))) {
    const path = join(blocks, name)
    const { size } = await stat(path)
    const file = await open(path, 'r+')
    for (let at = DAMAGE_INTERVAL_BYTES; at < size; at += DAMAGE_INTERVAL_BYTES) {
      const byte = Buffer.alloc(1)
      await file.read(byte, 0, 1, at)
      await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at)
    }
    await file.sync()
    await file.close()
  }
}

t.test(
  'a backup that comes again heals the old one, in clear and encrypted',
  { skip: mountSkipReason },
  async t => {
    const coffer = await startedCoffer(t, 'clear')
    const passphrase = join(coffer.base, 'passphrase')
    writeFileSync(passphrase, 'correct horse\n')
    await coffer.coffer('storage-group', 'add', 'vault', '--compression', 'none')
    await coffer.coffer('storage-group', 'set-passphrase', 'vault', '--passphrase-file', passphrase)
    await coffer.coffer('storage-group', 'encryption', 'vault', '--set', 'on', '--yes')
    await coffer.coffer('container', 'add', 'safe', '--group', 'vault')
    const at = (container: string, name: string): string => join(coffer.mount, container, name)
    const start = (): Promise<void> => coffer.start('--passphrase-file', `vault=${passphrase}`)
    const data = new Map(CONTAINERS.map(name => [name, randomBytes(FILE_BYTES)]))
    const wrongFiles = async (): Promise<string[]> => {
      const wrong: string[] = []
      for (const [container, bytes] of data) {
        for (const name of ['monday', 'tuesday']) {
          if (!bytes.equals(await readFile(at(container, name)))) wrong.push(`${container}/${name}`)
        }
      }
      return wrong
    }

    for (const [container, bytes] of data) await writeFile(at(container, 'monday'), bytes)
    await coffer.stop()
    await damageBlocks(coffer)
    await start()
    for (const container of CONTAINERS) {
      await t.rejects(readFile(at(container, 'monday')), { code: 'EIO' })
      const { ino } = await stat(at(container, 'monday'))
      const texts = (await damageAlerts(coffer)).map(({ text }) => text)
      const named = texts.filter(text => text.startsWith(`Inode ${ino} of container ${container} `))
      t.equal(named.length, 1, 'the alert names the file')
    }

    for (const [container, bytes] of data) await writeFile(at(container, 'tuesday'), bytes)
    await tool('sync', '-f', coffer.mount)
    t.same(await wrongFiles(), [], 'the old files read again')
    await coffer.coffer('maintenance', 'reclaim-space', '--wait')
    for (let second = 0; second < SETTLED_SECONDS_MAX; second++) {
      if ((await damageAlerts(coffer)).length === 0) break
      await sleep(1000)
    }
    t.same(await damageAlerts(coffer), [], 'the alerts have ended')
    await coffer.stop()
    await start()
    t.same(await wrongFiles(), [])
    t.same(await damageAlerts(coffer), [])
  },
)
