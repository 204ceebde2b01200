import fc from 'fast-check'
import t from 'tap'

import { LineSplitter } from '../../src/control/lines.ts'

t.test('lines are the same however they come', async t => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ maxLength: 40 }), { maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 30 }),
      (texts, sizes) => {
        const expected = texts.map(text => text.replaceAll('\n', ' '))
        const bytes = Buffer.from(expected.map(line => `${line}\n`).join(''))
        const splitter = new LineSplitter(1000)
        const got: string[] = []
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1
          // A copy that is overwritten afterwards, as a reader's buffer is.
          const chunk = Buffer.from(bytes.subarray(at, at + size))
          for (const line of splitter.push(chunk) ?? [Buffer.from('too long')]) {
            got.push(line.toString())
          }
          chunk.fill(0)
          at += size
        }
        return JSON.stringify(got) === JSON.stringify(expected)
      },
    ),
    { numRuns: 300 },
  )
  t.pass()
})

t.test('a line is too long from its first byte beyond the limit, complete or not', async t => {
  const splitter = new LineSplitter(10)
  t.same(splitter.push(Buffer.from('0123456789\n')), [Buffer.from('0123456789')])
  t.same(splitter.push(Buffer.from('01234')), [])
  t.same(splitter.push(Buffer.from('56789')), [])
  t.equal(splitter.push(Buffer.from('x')), undefined)
  t.equal(new LineSplitter(10).push(Buffer.from('0123456789x\n')), undefined)
})

t.test('a million bytes one by one take no room to speak of', async t => {
  const splitter = new LineSplitter(2_000_000)
  const before = process.memoryUsage.rss()
  const byte = Buffer.from('x')
  for (let count = 0; count < 1_000_000; count++) splitter.push(byte)
  const growth = process.memoryUsage.rss() - before
  t.ok(growth < 50_000_000, `${Math.round(growth / 1e6)} MB`)
  t.equal(splitter.push(Buffer.from('\n'))?.[0]?.length, 1_000_000)
})
