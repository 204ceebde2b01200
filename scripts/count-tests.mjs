// Counts the assertions of a TAP report, and repeats those that failed where they are seen: at the end.
// Usage: count-tests.mjs REPORT STATUS
//
// A file that crashed, timed out or planned more than it ran shows up as a failed point of the outermost level, with
// no failed assertion below; such a point counts as one failure itself.

import { readFileSync, writeFileSync } from 'node:fs'

const [report = '', statusText = '1'] = process.argv.slice(2)
const status = Number(statusText)

/** Points by depth that wait for the point of their parent, which ends their subtest. */
const pending = []
const total = { passed: 0, failed: 0, skipped: 0 }

/** The titles of the subtests that lead to the line being read, outermost first. */
const path = []
/** What failed: its path and the beginning of its diagnostics, as lines. */
const failures = []
/** Enough for the difference and the place; a whole one may quote megabytes. */
const maxDiagnosticLines = 40

let isDiagnostic = false
let isOfFailure = false

for (const line of readFileSync(report, 'utf8').split('\n')) {
  // Diagnostics quote source and output, which may look like results.
  if (/^ *---$/.test(line)) isDiagnostic = true
  else if (/^ *\.\.\.$/.test(line)) isDiagnostic = false
  if (isDiagnostic) {
    if (isOfFailure && failures.at(-1).length <= maxDiagnosticLines) failures.at(-1).push(line)
    continue
  }
  const title = /^( *)# Subtest: (.*)$/.exec(line)
  if (title !== null) path.splice(title[1].length / 4, Infinity, title[2])
  const match = /^( *)(not )?ok\b(.*)$/.exec(line)
  if (match === null) continue
  const [, indent, not, rest] = match
  const depth = indent.length / 4
  if (!Number.isInteger(depth)) continue
  const below = pending.splice(depth + 1).reduce(add, { passed: 0, failed: 0, skipped: 0 })
  const isLeaf = below.passed + below.failed + below.skipped === 0
  const own = { passed: 0, failed: 0, skipped: 0 }
  // tap forgives a file that ends without a result; most likely it died politely.
  if (depth === 0 && /# skip no tests found/i.test(rest)) own.failed = 1
  else if (/# (skip|todo)\b/i.test(rest)) own.skipped = isLeaf ? 1 : 0
  else if (not === undefined) own.passed = isLeaf ? 1 : 0
  else own.failed = below.failed === 0 ? 1 : 0
  isOfFailure = own.failed > 0
  if (isOfFailure) failures.push([`not ok: ${[...path.slice(0, depth), rest.trim()].join(' > ')}`])
  pending[depth] = add(add(pending[depth] ?? { passed: 0, failed: 0, skipped: 0 }, below), own)
}
pending.reduce(add, total)

// The runner failed and no result says why, or nothing ran at all: never report success.
if ((status !== 0 || total.passed === 0) && total.failed === 0) total.failed = 1

const { passed, failed, skipped } = total
const repeated = failures.flat().map(line => `${line}\n`)
const counts = process.env.COFFER_TEST_COUNTS
if (counts) {
  writeFileSync(`${counts}.counts`, `${passed} ${failed} ${skipped}\n`)
  writeFileSync(`${counts}.failures`, repeated.join(''))
} else {
  process.stdout.write(repeated.join(''))
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
}

process.exitCode = status !== 0 ? status : failed > 0 ? 1 : 0

function add(sum, more = { passed: 0, failed: 0, skipped: 0 }) {
  sum.passed += more.passed
  sum.failed += more.failed
  sum.skipped += more.skipped
  return sum
}
