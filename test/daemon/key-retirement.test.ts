// Keys are erased beside writers and rotations: a key that has data anywhere stays.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { BlockStore } from '../../src/blocks/index.ts'
import { contentOf, OpenStore } from '../helpers/open-store.ts'

const PASSPHRASE = Buffer.from('correct horse')

t.test('a key that is written under and rotated away while unused ones are erased', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-retirement-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  let blocks: BlockStore | undefined
  const store = await OpenStore.open(directory, {
    instrument: parts => {
      blocks = parts.blocks as BlockStore
      return parts
    },
  })
  store.addContainer('a')
  const { encryption, groups } = store.storage
  const group = groups.named('DefaultGroup')
  await encryption.setPassphrase(group, undefined, PASSPHRASE)
  await encryption.set(group, { isOn: true })
  await encryption.rotate(group)

  const content = contentOf(1, 300_000)
  if (blocks === undefined) throw new Error('the cleaner has not been made')
  const ask = blocks.keyIdsOnDisk.bind(blocks)
  blocks.keyIdsOnDisk = async id => {
    const keyIds = await ask(id)
    // The files have been asked: what is written from here on is in none of the lists.
    await store.write('a/f', content)
    await store.sync()
    await encryption.rotate(group)
    return keyIds
  }
  t.strictSame(await encryption.retireUnusedKeys(group.id), [1], 'the one that nothing ever used')
  await store.close()

  const again = await OpenStore.open(directory)
  await again.storage.encryption.unlock(again.storage.groups.named('DefaultGroup'), PASSPHRASE)
  t.ok((await again.read('a/f')).equals(content), 'the data can still be opened')
  await again.close()
})
