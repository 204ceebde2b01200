// A sample of the damage program: COFFER_DAMAGES damages, COFFER_DAMAGE_SEED makes the same choices again. And that its
// rules find what they are for.

import { mkdtempSync, renameSync, rmSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runDamages } from './cases.ts'
import { blockFilesIn, type Damage } from './damages.ts'
import { judge, RULES, stampBlocks, type CaseEnd, type Rule } from './judge.ts'
import type { Life } from './observe.ts'
import { copyTree, prepareStore } from './prepare.ts'

const COUNT = Number(process.env['COFFER_DAMAGES'] ?? 100)
const SEED = Number(process.env['COFFER_DAMAGE_SEED'] ?? 1)
const LANES = 2

function workOf(t: Test): string {
  const work = mkdtempSync(join(tmpdir(), 'coffer-damage-'))
  t.teardown(() => rmSync(work, { recursive: true, force: true }))
  return work
}

t.test('no damage loses data, makes a read wrong, or stays untold', async t => {
  const work = workOf(t)
  const results = await runDamages({ seed: SEED, count: COUNT, work, hasTrash: true, lanes: LANES })
  t.equal(results.length, COUNT)
  for (const [rule, text] of Object.entries(RULES)) {
    const broken = results.flatMap(({ number, damage, violations }) =>
      violations
        .filter(violation => violation.rule === rule)
        .map(violation => `case ${number}: ${damage.file}: ${damage.what}: ${violation.text}`),
    )
    t.same(broken, [], `${rule}: ${text}`)
  }
  const outcomes = results.map(({ told }) => told[0]?.split(':')[0] ?? 'nothing')
  t.ok(outcomes.includes('refused'), 'some are refused')
  t.ok(outcomes.includes('nothing'), 'some hit nothing that is used')
})

t.test('each rule finds what it is for', async t => {
  const work = workOf(t)
  const prepared = await prepareStore(work, 'natural', SEED)
  const place = join(work, 'case')
  copyTree(prepared.keep, place)
  const store = join(place, 'store')
  const damage: Damage = {
    file: 'metadata/CURRENT',
    fileKind: 'current',
    damageKind: 'flip',
    what: 'a test',
    block: null,
    used: 'CURRENT',
    onlyDead: false,
  }
  const whole: Life = {
    passes: [{ outcome: 'complete', text: '' }],
    scan: { outcome: 'clean', text: '', findings: [] },
    scannedBlocks: [],
    warnings: ['DAMAGED_FILE'],
    equalFiles: 1,
    errors: [],
    wrong: [],
    missing: [],
    extra: [],
  }
  const stamps = stampBlocks(store)
  const broken = async (
    life: Partial<Life>,
    more: { end?: Partial<CaseEnd>; hasTrash?: boolean; damage?: Damage } = {},
  ): Promise<Rule[]> => {
    const observation = { lives: [{ ...whole, ...life }], mistakes: [] }
    const end = {
      observation,
      step: '',
      startedBlocks: [],
      fault: undefined,
      stderr: '',
      ...more.end,
    }
    const { hasTrash = true } = more
    const judged = { prepared, damage: more.damage ?? damage, store, stamps, hasTrash }
    const violations = await judge({ ...judged, end, baseline: new Set() })
    return [...new Set(violations.map(({ rule }) => rule))]
  }
  const untold = { warnings: [] }
  t.same(await broken({}), [])
  t.same(await broken({ wrong: [{ path: 'a', atBytes: 0, what: 'zeros' }] }), ['no-wrong-byte'])
  t.same(await broken({ missing: ['a'] }), [], 'what is missing has been told of')
  t.same(await broken({ missing: ['a'], ...untold }), ['no-silent-loss', 'damage-told'])
  t.same(await broken(untold, { damage: { ...damage, used: null } }), [])
  t.same(await broken({ ...untold, refused: 'METADATA_UNREADABLE' }), [])
  t.same(await broken({}, { end: { fault: 'killed by SIGABRT' } }), ['no-abort'])
  const [file] = blockFilesIn(store).filter(({ block }) =>
    prepared.extents.some(extent => extent.block === block),
  )
  const path = file?.path ?? ''
  renameSync(path, `${path}.trash`)
  t.same(await broken({}), [], 'another name that keeps the number')
  unlinkSync(`${path}.trash`)
  t.same(await broken({}), ['blocks-kept'])
  t.same(await broken({}, { hasTrash: false }), ['blocks-kept'], 'with live data')
})
