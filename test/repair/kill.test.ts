// A repair that is killed at any of its steps leaves a store that a second repair finishes. COFFER_REPAIR_KILLS sets how many
// kills are tried; 0 tries all.

import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t from 'tap'
import { inodeKey, TABLE } from '../../src/metadata/index.ts'
import { BARE_NODE } from '../helpers/bare-node.ts'
import { breaks, dentryOf } from '../helpers/broken-records.ts'
import { brokenStores, FILE_CONTENT } from '../helpers/broken-store.ts'
import { OpenStore, sha256 } from '../helpers/open-store.ts'

const KILLS = Number(process.env['COFFER_REPAIR_KILLS'] ?? 2)
const VICTIM = resolve(import.meta.dirname, 'repair-victim.js')

function runVictim(
  directory: string,
  fault: string,
): Promise<{ trace: string; isKilled: boolean }> {
  const env = { ...process.env, COFFER_FAULT: fault }
  return new Promise((done, reject) => {
    const child = execFile('env', [...BARE_NODE, VICTIM, directory], { env }, (error, _, trace) => {
      const isKilled = child.signalCode === 'SIGKILL'
      if (error !== null && !isKilled) reject(new Error(trace))
      else done({ trace, isKilled })
    })
  })
}

/** Every point that a repair reaches, as a fault each time. */
function killsOf(trace: string): string[] {
  const turns = new Map<string, number>()
  const kills: string[] = []
  for (const [, point = ''] of trace.matchAll(/^reached (\S+)$/gm)) {
    const turn = turns.get(point) ?? 0
    turns.set(point, turn + 1)
    if (/^(repair-backup|metadata\.batch)\./.test(point)) kills.push(`${point}:kill:${turn}`)
  }
  return kills
}

t.test('a second repair finishes what a kill has left', { timeout: 7_200_000 }, async t => {
  const stores = await brokenStores(t)
  const broken = await stores.broken(place => {
    const { records, inodes } = place
    // One name of the file lies in a directory that is gone, and the other can't be read.
    for (const [check, change] of breaks) {
      if (check === 'container-files' || check === 'name-directory') change(place)
    }
    records.set(dentryOf(place, 'file'), null)
    records.delete(inodeKey(TABLE.inode, inodes.directory))
  })
  const copy = async (): Promise<string> => {
    const directory = await mkdtemp(join(tmpdir(), 'coffer-repair-kill-'))
    t.teardown(() => rm(directory, { recursive: true, force: true }))
    await cp(broken, directory, { recursive: true })
    return directory
  }
  const { trace } = await runVictim(await copy(), 'trace')
  const kills = killsOf(trace)
  t.ok(kills.length > 20, `${kills.length} points are reached`)
  const stride = KILLS === 0 ? 1 : kills.length / KILLS
  for (let at = 0; at < kills.length; at += stride) {
    const kill = kills[Math.floor(at + (KILLS === 0 ? 0 : Math.random() * stride))] ?? ''
    const directory = await copy()
    t.ok((await runVictim(directory, kill)).isKilled, kill)
    const store = await OpenStore.open(directory)
    const { outcome } = await store.storage.repairer.start(undefined).done
    t.ok(['clean', 'repaired'].includes(outcome), `${kill}: ${outcome}`)
    const report = await store.storage.scanner.start({ readsData: false }).done
    t.same(report.findings, [], kill)
    const { vfs } = store.storage
    const inodeAt = (directory: number, name: string): number =>
      vfs.lookup(directory, name)?.attributes.inode ?? 0
    const saved = inodeAt(inodeAt(vfs.containerByName('a').root, 'lost+found'), 'inode-999')
    const inode = inodeAt(saved, 'in nothing')
    const { handle } = await vfs.open(inode, 0)
    t.equal(sha256(await store.readHandle(handle)), sha256(FILE_CONTENT), 'the file is whole')
    vfs.release(handle)
    await store.close()
  }
})
