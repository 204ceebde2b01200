import fc from 'fast-check'
import t from 'tap'

import { nestsDeeper } from '../../src/control/nesting.ts'

const encoder = new TextEncoder()

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

t.test('the depth is that of the parsed value', async t => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 8 }), fc.boolean(), (value, isSpaced) => {
      const text = encoder.encode(JSON.stringify(value, null, isSpaced ? 2 : 0))
      const depth = depthOf(value)
      return !nestsDeeper(text, depth) && (depth === 0 || nestsDeeper(text, depth - 1))
    }),
    { numRuns: 500 },
  )
  t.pass()
})

t.test('brackets in strings are none, quotes in strings end none', async t => {
  t.notOk(nestsDeeper(encoder.encode('{"a":"[[[[\\"[[[["}'), 1))
  t.ok(nestsDeeper(encoder.encode('{"a\\\\":[[1]]}'), 2))
})

t.test('what is no JSON has an answer too', async t => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      text => typeof nestsDeeper(text, 3) === 'boolean',
    ),
  )
  t.ok(nestsDeeper(encoder.encode('['.repeat(1_000_000)), 32))
})
