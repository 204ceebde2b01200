// kill -9 in the middle of writing, round after round on one store: what was fsynced is intact, the store opens without
// repair, and writing goes on. COFFER_KILLS sets how many rounds.

import { createHash, randomBytes } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { mountSkipReason, startedCoffer } from '../helpers/mounted.ts'

const ROUNDS = Number(process.env['COFFER_KILLS'] ?? 8)
const FILE_BYTES_MAX = 400_000

t.test(
  `${ROUNDS} kills during a copy lose nothing that was fsynced`,
  { skip: mountSkipReason },
  async t => {
    const coffer = await startedCoffer(t, 'c')
    /** path => sha256 of what was fsynced */
    const promised = new Map<string, string>()
    let lost = 0
    const check = async (paths: Iterable<string>): Promise<void> => {
      for (const path of paths) {
        const found = await readFile(path).then(
          bytes => createHash('sha256').update(bytes).digest('hex'),
          (error: Error) => error.message,
        )
        if (found !== promised.get(path)) {
          lost++
          t.fail(`${path}: ${found}`)
        }
      }
    }
    for (let round = 0; round < ROUNDS; round++) {
      const writing = { goesOn: true }
      const writer = async (lane: number): Promise<void> => {
        for (let index = 0; writing.goesOn; index++) {
          const path = join(coffer.mount, 'c', `${round}-${lane}-${index}`)
          const data = randomBytes(1 + Math.floor(Math.random() * FILE_BYTES_MAX))
          // Every third file repeats itself, so that hits on chunks in flight happen too.
          const content = index % 3 === 0 ? Buffer.concat([data, data]) : data
          const file = await open(path, 'w').catch(() => undefined)
          if (file === undefined) return
          try {
            await file.writeFile(content)
            if (index % 2 === 0) {
              await file.sync()
              promised.set(path, createHash('sha256').update(content).digest('hex'))
            }
          } catch {
            // The daemon is gone; nothing was promised.
            return
          } finally {
            await file.close().catch(() => undefined)
          }
        }
      }
      const writers = [writer(0), writer(1), writer(2)]
      await delay(150 + Math.random() * 300)
      await coffer.kill()
      writing.goesOn = false
      await Promise.all(writers)
      await coffer.start()
      // What this round promised now; what all rounds did, once more at the end.
      await check([...promised.keys()].filter(path => path.includes(`/c/${round}-`)))
    }
    await check(promised.keys())
    t.ok(promised.size > ROUNDS, `${promised.size} files were promised`)
    t.equal(lost, 0)
    const { alerts } = await coffer.json<{ alerts: { code: string }[] }>('alerts', 'show')
    const expected = new Set(['UNCLEAN_SHUTDOWN', 'SPACE_LOW', 'EVENT_LOOP_STALL'])
    t.ok(alerts.some(({ code }) => code === 'UNCLEAN_SHUTDOWN'))
    t.same(
      alerts.filter(({ code }) => !expected.has(code)),
      [],
    )
  },
)
