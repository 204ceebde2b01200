// Whether free memory is reported is read off the devices of the balloon's driver.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { isFreeMemoryReported } from '../../bench/free-memory.ts'

t.test('free page reporting is the sixth feature of a balloon', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'coffer-balloon-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const device = join(directory, 'virtio0')
  mkdirSync(device)
  // As Linux shows them: a character for each bit, the lowest first.
  const features = (reporting: string): void =>
    writeFileSync(join(device, 'features'), `01100${reporting}${'0'.repeat(58)}\n`)
  writeFileSync(join(directory, 'bind'), '')

  features('0')
  t.equal(await isFreeMemoryReported(directory, join(directory, 'order')), false)
  features('1')
  t.equal(await isFreeMemoryReported(directory, join(directory, 'order')), true, 'no parameter')
  writeFileSync(join(directory, 'order'), '9\n')
  t.equal(await isFreeMemoryReported(directory, join(directory, 'order')), true)
  writeFileSync(join(directory, 'order'), '11\n')
  t.equal(
    await isFreeMemoryReported(directory, join(directory, 'order')),
    false,
    'no block is that large',
  )
  t.equal(await isFreeMemoryReported(join(directory, 'none')), false, 'no such driver')
})
