import fc from 'fast-check'
import t from 'tap'
import { PendingGroups } from '../../src/metadata/index.ts'

const groupOf = (key: string): string => key.slice(0, 1)
const keys = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(5)).map(parts => parts.join(''))
const steps = fc.array(
  fc.oneof(
    fc.tuple(fc.constant('set' as const), keys),
    fc.tuple(fc.constant('delete' as const), keys),
    fc.tuple(fc.constantFrom('collect' as const, 'settled' as const), fc.constant('')),
  ),
)

t.test(
  'what is pending of a group is what was changed in it since the last settled commit',
  async t => {
    fc.assert(
      fc.property(steps, done => {
        const pending = new PendingGroups<string, string, number>(groupOf)
        let [dirty, committing] = [new Set<string>(), new Set<string>()]
        for (const [step, key] of done) {
          if (step === 'collect') {
            // one commit at a time
            pending.settled()
            pending.collect()
            committing = dirty
            dirty = new Set()
          } else if (step === 'settled') {
            pending.settled()
            committing = new Set()
          } else {
            if (step === 'set') pending.set(key, 1)
            else pending.delete(key)
            dirty.add(key)
          }
        }
        for (const group of ['a', 'b', 'c']) {
          const expected = [...dirty, ...committing].filter(key => groupOf(key) === group)
          t.strictSame([...pending.keysOf(group)].toSorted(), [...new Set(expected)].toSorted())
          for (const key of expected) t.not(pending.get(key), undefined)
        }
      }),
    )
  },
)
