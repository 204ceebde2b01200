// Writes docs/coffer.1, or with --check says whether it is current.

import { readFile, writeFile } from 'node:fs/promises'

import { outlineCommands } from '../src/cli/commands.ts'
import { processIo } from '../src/cli/io.ts'
import { writeManPage } from '../src/cli/man-page.ts'

/** From dist/scripts/ to the top of the checkout. */
const path = new URL('../../docs/coffer.1', import.meta.url)

const text = writeManPage(outlineCommands(processIo()))
if (process.argv.includes('--check')) {
  const isCurrent = (await readFile(path, 'utf8').catch(() => '')) === text
  if (!isCurrent) {
    console.error('docs/coffer.1 is not current: run node dist/scripts/write-man-page.js')
    process.exitCode = 1
  }
} else {
  await writeFile(path, text)
}
