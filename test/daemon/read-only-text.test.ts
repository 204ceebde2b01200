// What the alert of a read-only store says of the reason.

import t from 'tap'
import { readOnlyText } from '../../src/daemon/open-metadata.ts'
import { ALERT_KINDS } from '../../src/alerts/kinds.ts'
import { metadataDamaged } from '../../src/metadata/level-damage.ts'

t.test('readOnlyText names damaged metadata and the way out', async t => {
  const text = readOnlyText(metadataDamaged('/srv/store/metadata', 'a block is wrong'))
  t.match(text, /^The store is read-only: The metadata database is damaged: a block is wrong\./)
  t.match(text, /coffer recover --store \/srv\/store --dry-run/)
  t.notMatch(text, /started again/, 'a restart mends nothing')
  t.match(ALERT_KINDS.STORE_READ_ONLY.whatToDo, /Damaged metadata: .*coffer recover/)
})

t.test('readOnlyText of another failure promises a restart', async t => {
  t.equal(readOnlyText(new Error('EIO')), 'The store is read-only until it is started again: EIO')
})
