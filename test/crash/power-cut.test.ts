// Power cuts in the middle of writing: the disk as it was at that moment is mounted elsewhere, and what was fsynced
// before is there, byte for byte; what was not is absent, older, or a beginning. Clear and encrypted, beside the cleaner
// and changes of keys, and again while the daemon starts. COFFER_POWER_CUTS sets how many.

import { tmpdir } from 'node:os'
import t from 'tap'
import { diskImagesSkipReason, FILESYSTEMS } from '../helpers/disk-images.ts'
import { mountSkipReason } from '../helpers/mounted.ts'
import { cutRounds } from '../torture/cuts.ts'

const CUTS = Number(process.env['COFFER_POWER_CUTS'] ?? 4)
const CUTS_OF_STORE_MAX = 8

for (const filesystem of FILESYSTEMS) {
  const skip = mountSkipReason || (await diskImagesSkipReason(filesystem))
  const count = Math.ceil(CUTS / FILESYSTEMS.length)
  const timeout = 60_000 + count * 20_000
  t.test(`${count} power cuts of a store on ${filesystem}`, { skip, timeout }, async t => {
    const options = { seed: Date.now() % 2 ** 31, keepIn: tmpdir() }
    let rounds = 0
    let facts = 0
    const cutsOfStore = Math.min(count, CUTS_OF_STORE_MAX)
    for await (const round of cutRounds([filesystem], options, cutsOfStore)) {
      const { circumstances, seed, kept, wrongs } = round
      t.same(wrongs, [], `seed ${seed}: ${round.facts} facts, ${circumstances}; ${kept ?? 'whole'}`)
      facts += round.facts
      if (++rounds === count) break
    }
    t.ok(facts > rounds, `${facts} facts`)
  })
}
