// The plan, as properties over random block files, and the order of its parts.

import fc from 'fast-check'
import t from 'tap'
import type { BlockRecord, Compression } from '../../src/blocks/index.ts'
import {
  COMPACT_LIVE_RATIO,
  COMPACT_LIVE_RATIO_MAX,
  DEAD_SHARE_MAX,
  planPass,
} from '../../src/cleaner/index.ts'
import type { PlanInput } from '../../src/cleaner/index.ts'

const MIB = 2 ** 20

interface Case {
  readonly record: BlockRecord
  readonly liveBytes: number
}

const cases = fc
  .array(
    fc.record({
      group: fc.integer({ min: 1, max: 3 }),
      keyId: fc.integer({ min: 0, max: 2 }),
      compression: fc.constantFrom<Compression>('none', 'fast'),
      isClosed: fc.boolean(),
      fileMib: fc.integer({ min: 1, max: 64 }),
      live: fc.oneof(
        fc.constantFrom(0, 1),
        fc.integer({ min: 1, max: 999 }).map(thousandths => thousandths / 1000),
      ),
    }),
    { maxLength: 40 },
  )
  .map(list =>
    list.map(({ fileMib, live, ...rest }, index): Case => {
      const rawBytes = fileMib * MIB * 2
      const record = {
        ...rest,
        block: index + 1,
        lengthBytes: fileMib * MIB,
        regionCount: 1,
        chunkCount: 1,
        rawBytes,
        compressedBytes: rawBytes / 2,
        quarantine: null,
        freedSeconds: null,
      }
      return { record, liveBytes: Math.floor(rawBytes * live) }
    }),
  )

function inputOf(list: readonly Case[], options: Partial<PlanInput> = {}): PlanInput {
  return {
    records: list.map(({ record }) => record),
    liveBytes: block => list[block - 1]?.liveBytes ?? 0,
    isLocked: () => false,
    compressionOf: () => 'fast',
    needsReseal: (_group, keyId) => keyId === 1,
    isQuarantined: () => false,
    ...options,
  }
}

t.test('every closed block file gets what it needs, once, and open ones nothing', async t => {
  fc.assert(
    fc.property(cases, list => {
      const { blocks, reclaimableBytes } = planPass(inputOf(list))
      const planned = new Map(blocks.map(each => [each.block, each]))
      if (planned.size !== blocks.length) return false
      if (reclaimableBytes !== blocks.reduce((sum, { gainBytes }) => sum + gainBytes, 0))
        return false
      return list.every(({ record, liveBytes }) => {
        const action = planned.get(record.block)?.action
        if (!record.isClosed) return action === undefined
        if (liveBytes === 0) return action === 'free'
        if (liveBytes / record.rawBytes < COMPACT_LIVE_RATIO) return action === 'compact'
        // Rather full, and too much taken together; or small, and merged.
        if (action === 'compact') return true
        if (record.compression !== 'fast') return action === 'recompress'
        if (record.keyId === 1) return action === 'reseal'
        return action === undefined
      })
    }),
  )
  t.pass()
})

t.test(
  'what has live data is never freed; locked, quarantined and other groups are left alone',
  async t => {
    fc.assert(
      fc.property(cases, list => {
        const options = {
          isLocked: (group: number) => group === 2,
          isQuarantined: (block: number) => block % 3 === 0,
          group: 1,
        }
        return planPass(inputOf(list, options)).blocks.every(
          ({ block, group, action, liveBytes }) =>
            group === 1 &&
            (block % 3 !== 0 || action === 'free') &&
            (action !== 'free' || liveBytes === 0),
        )
      }),
    )
    t.pass()
  },
)

t.test('what is left dead is little, or costs too much to free', async t => {
  fc.assert(
    fc.property(cases, list => {
      const planned = new Set(planPass(inputOf(list)).blocks.map(({ block }) => block))
      return [1, 2, 3].every(group => {
        const own = list.filter(({ record }) => record.group === group && record.isClosed)
        const kept = own.filter(({ record }) => !planned.has(record.block))
        const live = own.reduce((sum, { liveBytes }) => sum + liveBytes / 2, 0)
        const dead = kept.reduce(
          (sum, { record, liveBytes }) => sum + record.lengthBytes - liveBytes / 2,
          0,
        )
        const ratios = kept.map(({ record, liveBytes }) => liveBytes / record.rawBytes)
        return dead <= DEAD_SHARE_MAX * live + 1 || Math.min(...ratios) >= COMPACT_LIVE_RATIO_MAX
      })
    }),
  )
  t.pass()
})

t.test('space first: free, then the emptiest, then compression, then keys', async t => {
  fc.assert(
    fc.property(cases, list => {
      const order = ['free', 'compact', 'recompress', 'reseal']
      const ranks = planPass(inputOf(list)).blocks.map(({ action }) => order.indexOf(action))
      return ranks.every((rank, index) => index === 0 || (ranks[index - 1] ?? 0) <= rank)
    }),
  )
  t.pass()
})

t.test('one small block file stays, two are merged', async t => {
  const small = (block: number): Case => ({
    record: {
      block,
      group: 1,
      keyId: 0,
      compression: 'fast',
      isClosed: true,
      lengthBytes: MIB,
      regionCount: 4,
      chunkCount: 60,
      rawBytes: 2 * MIB,
      compressedBytes: MIB,
      quarantine: null,
      freedSeconds: null,
    },
    liveBytes: 2 * MIB,
  })
  t.strictSame(planPass(inputOf([small(1)])).blocks, [])
  const merged = planPass(inputOf([small(1), small(2)])).blocks
  t.strictSame(
    merged.map(({ block, action }) => [block, action]),
    [
      [1, 'compact'],
      [2, 'compact'],
    ],
  )
  t.strictSame(merged, planPass(inputOf([small(1), small(2)])).blocks, 'the same twice')
})
