// A metadata store that is older than the block files: refused however often it is tried, and nothing is touched. The
// right metadata put back, everything reads.

import { cp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { mountSkipReason, startedCoffer, shell, tool } from '../helpers/mounted.ts'

const ATTEMPTS = 4

t.test(
  'metadata that lost commits is refused again and again, and nothing is deleted',
  { skip: mountSkipReason },
  async t => {
    const coffer = await startedCoffer(t, 'c')
    const at = (name: string): string => join(coffer.mount, 'c', name)
    await writeFile(at('early'), 'early'.repeat(10_000))
    await tool('sync', '-f', coffer.mount)
    await coffer.stop()

    const metadata = join(coffer.store, 'metadata')
    const older = join(coffer.base, 'older')
    const newer = join(coffer.base, 'newer')
    await cp(metadata, older, { recursive: true })
    await coffer.start()
    for (let index = 0; index < 5; index++) {
      await tool(
        'dd',
        'if=/dev/urandom',
        `of=${at(`late${index}`)}`,
        'bs=100k',
        'count=1',
        'conv=fsync',
      )
    }
    const late = await readFile(at('late4'))
    await coffer.stop()
    const listing = (): Promise<string> =>
      shell(`cd ${coffer.store}/blocks && find . -type f -printf '%p %s\\n' | sort`)
    const before = await listing()

    await rename(metadata, newer)
    await cp(older, metadata, { recursive: true })
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      // Without the note the block files themselves have to tell.
      if (attempt === ATTEMPTS / 2) await rm(join(coffer.store, 'commit-note'))
      await t.rejects(
        coffer.start(),
        { message: /behind|after commit|older/i },
        `attempt ${attempt}`,
      )
    }
    t.equal(await listing(), before, 'no block file was touched')

    await rm(metadata, { recursive: true })
    await rename(newer, metadata)
    await coffer.start()
    t.ok((await readFile(at('late4'))).equals(late))
  },
)

t.test(
  'losing only the very last commits of a clean stop is noticed too',
  { skip: mountSkipReason },
  async t => {
    const coffer = await startedCoffer(t, 'c')
    await coffer.stop()
    const metadata = join(coffer.store, 'metadata')
    const older = join(coffer.base, 'older')
    await cp(metadata, older, { recursive: true })
    await coffer.start()
    // Names alone: no region is sealed that could tell.
    await writeFile(join(coffer.mount, 'c', 'empty'), '')
    await coffer.stop()
    await rm(metadata, { recursive: true })
    await rename(older, metadata)
    await t.rejects(coffer.start(), { message: /behind|older/i })
    await t.rejects(coffer.start(), { message: /behind|older/i })
  },
)
