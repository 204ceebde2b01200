// The filter of the chunk index over restarts of a whole store: data that comes again is known again, whatever became of the
// filter's file.

import { existsSync } from 'node:fs'
import { copyFile, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { contentOf, OpenStore } from '../helpers/open-store.ts'

const FILE_BYTES = 3_000_000

t.test('what is known stays known', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-filter-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const path = join(directory, 'store', 'chunk-filter')
  const kept = join(directory, 'kept')
  let files = 0

  /** @returns chunks that were stored: of data that the store has, and of data that it hasn't */
  const round = async (): Promise<[known: number, fresh: number]> => {
    const store = await OpenStore.open(directory)
    t.notOk(existsSync(path), 'nobody finds a filter of a store in use')
    const stored = (): number => store.storage.counters.sinceStart().chunksStored
    if (files === 0) {
      store.addContainer('a')
      await store.write('a/0', contentOf(1, FILE_BYTES), true)
    }
    const before = stored()
    await store.write(`a/${++files}`, contentOf(1, FILE_BYTES), true)
    const between = stored()
    await store.write(`a/${++files}`, contentOf(files, FILE_BYTES), true)
    const after = stored()
    t.ok((await store.read('a/1')).equals(Buffer.from(contentOf(1, FILE_BYTES))))
    await store.close()
    t.ok(existsSync(path))
    return [between - before, after - between]
  }
  const expectKnown = async (what: string): Promise<void> => {
    const [known, fresh] = await round()
    t.equal(known, 0, `${what}: known`)
    t.ok(fresh > 20, `${what}: ${fresh} new`)
  }

  await expectKnown('a new store')
  await copyFile(path, kept)
  await expectKnown('after an end in good order')
  await rm(path)
  await expectKnown('without the file')
  await copyFile(kept, path)
  await expectKnown('with the file of an earlier commit')
  const bytes = await readFile(path)
  bytes[200] = (bytes[200] ?? 0) ^ 1
  await writeFile(path, bytes)
  await expectKnown('with a damaged file')
  await rm(path)
  await symlink(kept, path)
  await t.rejects(OpenStore.open(directory), { code: 'FOREIGN_FILE' })
  await rm(path)
  await expectKnown('after all')
})
