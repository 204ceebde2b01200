// docs/control-protocol.md must say what the method table says.

import { readFile } from 'node:fs/promises'

import t from 'tap'

import { writeProtocolDocument } from '../../src/control/document.ts'
import { discover } from '../../src/control/methods.ts'

t.test('the document is current', async t => {
  const path = new URL('../../../docs/control-protocol.md', import.meta.url)
  const text = await readFile(path, 'utf8')
  t.ok(text === writeProtocolDocument(), 'else: node dist/scripts/write-protocol.js')
})

t.test('the document names every method', async t => {
  const text = writeProtocolDocument()
  for (const { name } of discover().methods) t.match(text, `### ${name}\n`)
})
