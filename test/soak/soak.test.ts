// The soak for some seconds, or as many as COFFER_SOAK_SECONDS says: every kind of use works beside the others, and nothing is
// held when all is over. The trend of memory takes scripts/soak.

import t from 'tap'
import { mountSkipReason } from '../helpers/mounted.ts'
import { growthOf, soak, type Sample } from './soak.ts'

const RUN_MS = Number(process.env['COFFER_SOAK_SECONDS'] ?? 6) * 1000

t.test('what is used is given back', { skip: mountSkipReason }, async t => {
  const report = await soak(RUN_MS, false)
  t.same(report.complaints, [])
  t.ok(Object.keys(report.rounds).length === 9, JSON.stringify(report.rounds))
  t.ok(report.samples.some(({ held }) => held.openFiles > 0))
})

t.test('a trend is seen through noise, and noise is no trend', t => {
  const held = {} as Sample['held']
  const series = (leakBytes: number): Sample[] =>
    Array.from({ length: 100 }, (_, seconds) => {
      const noise = ((seconds * 7919) % 100) * 1e6
      const warmUp = Math.min(seconds, 20) * 5e6
      const rssBytes = 2e8 + warmUp + noise + seconds * leakBytes
      return { seconds, rssBytes, anonymousBytes: rssBytes, descriptors: 0, held, runningJobs: 0 }
    })
  const growth = (samples: Sample[]): number => growthOf(samples, ({ rssBytes }) => rssBytes)
  t.ok(Math.abs(growth(series(0))) < 5e6)
  t.ok(growth(series(1e6)) > 55e6)
  t.end()
})
