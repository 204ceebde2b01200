// A file that is replaced without an fsync is the old one or the new one after a crash, also when somebody's fsync of another
// file makes a commit in between. By renaming over it, and by cutting it off and writing it anew.

import { mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { ChildDaemon } from '../helpers/child-daemon.ts'
import { mountSkipReason } from '../helpers/mounted.ts'

/** Below what is cut at once, below and above a region, above a write buffer. */
const SIZES = [1, 3000, 300_000, 3_000_000, 12_000_000]
const FILES = 6

type Replace = (path: string, content: Buffer) => Promise<void>

const WAYS: Readonly<Record<string, Replace>> = {
  'renamed over': async (path, content) => {
    await writeFile(`${path}.new`, content)
    await rename(`${path}.new`, path)
  },
  'written anew': (path, content) => writeFile(path, content),
}

async function writeDurable(path: string, content: Buffer): Promise<void> {
  const file = await open(path, 'w')
  await file.writeFile(content)
  await file.sync()
  await file.close()
}

for (const [name, replace] of Object.entries(WAYS)) {
  t.test(`${name}, and killed`, { skip: mountSkipReason, timeout: 300_000 }, async t => {
    const disk = await mkdtemp(join(tmpdir(), 'coffer-replace-'))
    const daemon = new ChildDaemon({ disk })
    t.teardown(async () => {
      await daemon.remove()
      await rm(disk, { recursive: true, force: true })
    })
    await daemon.start()
    await daemon.call('container.add', { name: 'c', group: 'DefaultGroup' })
    const pathOf = (index: number): string => join(daemon.mount, 'c', `f${index}`)
    for (const sizeBytes of SIZES) {
      const old = randomBytes(5000)
      const fresh = randomBytes(sizeBytes)
      for (let index = 0; index < FILES; index++) await writeDurable(pathOf(index), old)
      const other = await open(join(daemon.mount, 'c', 'other'), 'w')
      // More at once than is stored in the time of a commit.
      await Promise.all(Array.from({ length: FILES }, (_, index) => replace(pathOf(index), fresh)))
      await other.write('x')
      await other.sync()
      const closed = other.close().catch(() => undefined)
      await daemon.kill()
      await closed
      await daemon.start()
      for (let index = 0; index < FILES; index++) {
        const found = await readFile(pathOf(index))
        const isWhole = found.equals(old) || found.equals(fresh)
        t.ok(isWhole, `file ${index} of ${sizeBytes}: ${found.length} bytes`)
      }
    }
  })
}
