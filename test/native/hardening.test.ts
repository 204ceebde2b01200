// How the native modules are built: an error in memory ends the process instead of being exploited.

import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)
const TOP = resolve(import.meta.dirname, '../../..')
const READELF = '/usr/bin/readelf'
const MODULES = [
  'native/build/Release/coffer.node',
  'node_modules/classic-level/build/Release/classic_level.node',
]
// A build for the sanitizers checks more, by other means.
const skip =
  process.env['COFFER_UNDER_SANITIZER'] !== undefined
    ? 'built for the sanitizers'
    : !existsSync(READELF) && 'needs readelf of binutils'

async function readelf(option: string, path: string): Promise<string> {
  const { stdout } = await run(READELF, ['--wide', option, path], {
    env: { ...process.env, LC_ALL: 'C' },
    maxBuffer: 16 * 1024 * 1024,
  })
  return stdout
}

for (const name of MODULES) {
  t.test(name, { skip }, async t => {
    const path = resolve(TOP, name)
    const dynamic = await readelf('--dynamic', path)
    t.match(dynamic, /\(FLAGS(_1)?\).*\b(BIND_NOW|NOW)\b/, 'addresses are resolved at the start')
    t.notMatch(dynamic, /\(TEXTREL\)/)
    t.notMatch(dynamic, /\((RPATH|RUNPATH)\)/, 'libraries come from the system alone')
    const segments = await readelf('--segments', path)
    t.match(segments, /^ *GNU_RELRO /m, 'and their table is read-only afterwards')
    const [stack = ''] = /^ *GNU_STACK .*$/m.exec(segments) ?? []
    t.match(stack, / RW +0x/, 'the stack is not executable')
    t.notMatch(segments, /^ *LOAD .* RWE /m, 'no memory is writable and executable')
    const symbols = await readelf('--dyn-syms', path)
    const imported = [...symbols.matchAll(/ UND (\w+)/g)].map(([, symbol = '']) => symbol)
    t.ok(imported.includes('__stack_chk_fail'), 'stack frames have guards')
    const checked = imported.filter(
      symbol => /^__\w+_chk$/.test(symbol) && symbol !== '__stack_chk_fail',
    )
    t.ok(checked.length > 0, `sizes of buffers are checked: ${checked.join(' ')}`)
  })
}
