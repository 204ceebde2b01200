// kill -9 in the middle of writing, round after round on one store: what was fsynced is intact, the store opens without
// repair, and writing goes on. Clear and encrypted, beside the cleaner and changes of keys, and again while it starts.
// COFFER_KILLS sets how many rounds.

import { tmpdir } from 'node:os'
import t from 'tap'
import { mountSkipReason } from '../helpers/mounted.ts'
import { killRounds } from '../torture/kills.ts'

const ROUNDS = Number(process.env['COFFER_KILLS'] ?? 8)

t.test(
  `${ROUNDS} kills lose nothing that was fsynced`,
  { skip: mountSkipReason, timeout: 60_000 + ROUNDS * 20_000 },
  async t => {
    const options = { seed: Date.now() % 2 ** 31, keepIn: tmpdir() }
    let rounds = 0
    let facts = 0
    for await (const round of killRounds(options)) {
      const { circumstances, seed, kept, wrongs } = round
      t.same(wrongs, [], `seed ${seed}: ${round.facts} facts, ${circumstances}; ${kept ?? 'whole'}`)
      facts += round.facts
      if (++rounds === ROUNDS) break
    }
    t.ok(facts > rounds, `${facts} facts`)
  },
)
