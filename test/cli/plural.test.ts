// Counts in sentences.

import t from 'tap'
import { plural, pluralWith } from '../../src/plural.ts'

t.test('plural uses the singular for one only', async t => {
  t.strictSame(
    [0, 1, 2].map(count => plural(count, 'block file')),
    ['0 block files', '1 block file', '2 block files'],
  )
  t.equal(plural(2, 'entry', 'entries'), '2 entries')
  t.equal(plural(1, 'entry', 'entries'), '1 entry')
})

t.test('pluralWith lets the verb agree', async t => {
  t.equal(pluralWith(1, 'file', ['is', 'are']), '1 file is')
  t.equal(pluralWith(3, 'file', ['is', 'are']), '3 files are')
})
