// What the shipped addon lets out: the functions that src/native calls, and none that only tests need.

import { readFileSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { loadAddon } from '../../src/native/addon.ts'
import { testExports } from '../helpers/test-exports.ts'

const SOURCES = resolve(import.meta.dirname, '../../../src/native')
/** `addon.name(`, `loaded().name(` and `(loadAddon() as X).name(` */
const CALL = /(?:\baddon|\bloaded\(\)|\(loadAddon\(\) as \w+\))\.(\w+)\(/g

function calledNames(): string[] {
  const names = readdirSync(SOURCES).flatMap(file => {
    const text = readFileSync(resolve(SOURCES, file), 'utf8').replaceAll(/\(\s+/g, '(')
    return [...text.matchAll(CALL)].map(([, name = '']) => name)
  })
  return [...new Set(names)].sort()
}

t.test('the shipped addon exports what src/native calls, and nothing else', async t => {
  const exported = Object.keys(loadAddon() as object).sort()
  t.strictSame(exported, calledNames())
  for (const name of ['forgeRegion', 'encrypt', 'deriveBlockKey', 'setCipher']) {
    t.ok(name in testExports, `${name} is for tests`)
    t.notOk(exported.includes(name), `${name} is not shipped`)
  }
})
