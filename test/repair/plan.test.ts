// Plans, whatever was found: the same findings give the same plan, in whatever order and however often they are told; an
// action has a stage, a line and copies of what it changes; a finding leads to an action, is left alone, or follows from
// another one that leads to an action.

import fc from 'fast-check'
import t from 'tap'
import { inodeKey, TABLE } from '../../src/metadata/index.ts'
import { planRepair, STAGES } from '../../src/repair/index.ts'
import type { Evidence, Remains } from '../../src/repair/index.ts'
import { CHECK_NAMES } from '../../src/scan/index.ts'
import type { CheckName, Discovery } from '../../src/scan/index.ts'

const INODE_MAX = 8
const S_IFDIR = 0o040000
const S_IFREG = 0o100000

const inode = fc.integer({ min: 2, max: INODE_MAX })
const delta = fc.integer({ min: -3, max: 3 }).filter(value => value !== 0)
const type = fc.constantFrom(S_IFDIR, S_IFREG)
const place = fc.record({
  parent: inode,
  name: fc.constantFrom('a', 'b'),
  hash: fc.integer({ min: 0, max: 2 }),
  target: inode,
  type,
})
const key = fc
  .record({ table: fc.constantFrom(...Object.values(TABLE)), inode })
  .map(each => inodeKey(each.table, each.inode))

/** What a scan may say of each check. */
const subjects: Partial<Record<CheckName, fc.Arbitrary<unknown>>> = {
  'record-readable': key.map(each => ({ key: each })),
  'counter-inode': fc.record({ next: inode }),
  'counter-container': fc.record({ next: inode }),
  'counter-block': fc.record({ next: inode }),
  'name-inode': place,
  'name-directory': place,
  'name-type': place,
  'name-hash': place,
  'name-container': fc.record({ place, container: inode, inodeContainer: inode }).map(each => ({
    ...each.place,
    container: each.container,
    inodeContainer: each.inodeContainer,
  })),
  'inode-links': fc.record({ inode, delta }),
  'inode-children': fc.record({ inode, delta }),
  'inode-parent': fc.record({ inode, was: inode, parent: fc.integer({ min: 0, max: 3 }) }),
  'inode-lost': fc.record({ inode, container: inode }),
  'inode-container': fc.record({ inode, container: inode }),
  'inode-mapped': fc.record({ inode, delta }),
  'orphan-mark': fc.record({ inode, isMarked: fc.boolean(), exists: fc.boolean() }),
  'xattr-flag': fc.record({ inode, has: fc.boolean() }),
  'xattr-inode': fc.record({ inode, key }),
  'extent-inode': fc.record({ inode, key, exists: fc.boolean() }),
  'usage-counters': inode.map(block => ({
    correction: { blocks: new Map([[block, { extents: 1, bytes: 2 }]]), groups: new Map() },
  })),
  'container-root': fc.record({ container: inode, root: inode }),
  'container-files': fc.record({ container: inode, delta }),
  'container-bytes': fc.record({ container: inode, delta }),
  'index-block': key.map(each => ({ key: each })),
  'index-place': key.map(each => ({ key: each })),
  'block-file': fc.record({ block: inode, reason: fc.constant('is missing') }),
  'block-header': fc.record({ block: inode, reason: fc.constant('has no header') }),
}

const discovery = fc.constantFrom(...CHECK_NAMES).chain(check =>
  (subjects[check] ?? fc.constant(undefined)).map(subject => {
    const text = `${check}: ${JSON.stringify(subject)}`
    // The table above is by check, which the compiler can't follow.
    return { check, text, subject } as Discovery
  }),
)

const remains: fc.Arbitrary<Remains> = fc.record({
  isDamaged: fc.boolean(),
  names: fc.array(place, { maxLength: 2 }),
  children: fc.integer({ min: 0, max: 2 }),
  subdirectories: fc.constant(0),
  container: fc.option(inode, { nil: undefined }),
  extents: fc.option(fc.constant({ group: 1, endBytes: 10, mappedBytes: 10 }), { nil: undefined }),
  hasXattrs: fc.boolean(),
})
const time = { seconds: 0, nanoseconds: 0 }
const container = fc.integer({ min: 1, max: 2 }).map(group => ({
  name: 'c',
  group,
  root: 2,
  created: time,
  deleting: false,
  logicalBytes: 0,
  fileCount: 0,
}))
const evidence: fc.Arbitrary<Evidence> = fc
  .record({
    remains: fc.array(fc.tuple(inode, remains), { maxLength: 4 }),
    containers: fc.array(fc.tuple(inode, container), { maxLength: 3 }),
    lost: fc.array(inode, { maxLength: 1 }),
  })
  .map(({ remains: known, containers, lost }) => ({
    remains: new Map(known),
    containers: new Map(containers),
    lostContainers: new Map(lost.map(id => [id, { name: 'lost', root: 2, group: 1 }])),
  }))

/** Findings that may be nothing of their own: another one leads to what mends them. */
const CONSEQUENCES: ReadonlySet<CheckName> = new Set<CheckName>([
  'record-readable',
  'name-inode',
  'name-directory',
  'name-hash',
  'name-container',
  'extent-inode',
  'xattr-inode',
  'orphan-mark',
])

t.test('plans are the same in every order, and complete', async () => {
  fc.assert(
    fc.property(
      fc
        .array(discovery, { maxLength: 12 })
        .chain(found =>
          fc.tuple(
            fc.constant(found),
            fc.shuffledSubarray([...found, ...found], { minLength: 2 * found.length }),
          ),
        ),
      evidence,
      ([found, shuffled], given) => {
        const plan = planRepair(found, given)
        const lines = ({ actions, left }: typeof plan): string[] =>
          [...actions.map(({ text }) => text), ...left.map(({ text }) => text)].sort()
        const same =
          JSON.stringify(lines(planRepair(shuffled, given))) === JSON.stringify(lines(plan))
        const stages = plan.actions.map(({ stage }) => STAGES.indexOf(stage))
        const isOrdered = stages.every((stage, at) => stage >= (stages[at - 1] ?? 0))
        const isKept = plan.actions.every(
          ({ keys, deed }) => keys.length > 0 || deed.kind === 'quarantine-block',
        )
        return same && isOrdered && isKept
      },
    ),
    { numRuns: 300 },
  )
})

t.test('no finding is passed over that stands for itself', async () => {
  fc.assert(
    fc.property(discovery, evidence, (found, given) => {
      const { actions, left } = planRepair([found], given)
      return actions.length + left.length === 1 || CONSEQUENCES.has(found.check)
    }),
    { numRuns: 1000 },
  )
})

t.test('nothing is deleted for good that anything is left of', async () => {
  fc.assert(
    fc.property(inode, remains, (number, known) => {
      const found = {
        check: 'record-readable',
        text: 'it is damaged',
        subject: { key: inodeKey(TABLE.inode, number) },
      } as const
      const nothing = { containers: new Map(), lostContainers: new Map() }
      const { actions } = planRepair([found], { remains: new Map([[number, known]]), ...nothing })
      const isDropped = actions.some(({ deed }) => deed.kind === 'drop-inode')
      return !isDropped || (known.extents === undefined && known.children === 0)
    }),
    { numRuns: 300 },
  )
})
