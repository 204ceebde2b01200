// Writes docs/control-protocol.md, or with --check says whether it is current.

import { readFile, writeFile } from 'node:fs/promises'

import { writeProtocolDocument } from '../src/control/document.ts'

/** From dist/scripts/ to the top of the checkout. */
const path = new URL('../../docs/control-protocol.md', import.meta.url)

const text = writeProtocolDocument()
if (process.argv.includes('--check')) {
  const isCurrent = (await readFile(path, 'utf8').catch(() => '')) === text
  if (!isCurrent) {
    console.error(
      'docs/control-protocol.md is not current: run node dist/scripts/write-protocol.js',
    )
    process.exitCode = 1
  }
} else {
  await writeFile(path, text)
}
