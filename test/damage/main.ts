// The damage program: damages copies of a store at random and checks that nothing is lost or wrong in silence.

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runDamages, type CaseResult } from './cases.ts'
import { RULES, type Rule } from './judge.ts'

const USAGE = `usage: node dist/test/damage/main.js [--count N] [--seed S] [--only N] [--work DIR] [--lanes L] [--keep] [--no-trash]

--count N    so many damages (COFFER_DAMAGES, or 100, unless told)
--seed S     makes the same choices again
--only N     only the case of this number
--work DIR   for the prepared stores and results.jsonl; stores that are there are taken again, so that a case hits
             the same bytes (/tmp/coffer-damage-SEED unless told, which is removed when no rule is broken)
--lanes L    so many cases at once (2 unless told)
--keep       keeps the damaged store of each case that breaks a rule
--no-trash   for a cleaner that deletes dead block files at once: only those with live data must be there`

const LANES = 2

function lineOf({ number, variant, damage, violations }: CaseResult): string {
  const { file, what } = damage
  const broken = violations.map(({ rule, text }) => `  ${rule}: ${text}`).join('\n')
  return `case ${number} (${variant}): ${file}: ${what}\n${broken}\n`
}

function summaryOf(results: readonly CaseResult[]): string {
  const ms = results.reduce((sum, result) => sum + result.ms, 0)
  const lines = [`${results.length} damages, ${Math.round(ms / results.length)} ms each`]
  for (const rule of Object.keys(RULES) as Rule[]) {
    const broken = results.filter(({ violations }) => violations.some(each => each.rule === rule))
    const first = broken.slice(0, 10).map(({ number }) => number)
    const where = broken.length > 0 ? `: cases ${first.join(', ')}` : ''
    lines.push(`${rule.padEnd(16)} broken in ${broken.length}${where}`)
  }
  return `${lines.join('\n')}\n`
}

async function main(): Promise<void> {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  const { values } = parseArgs({
    options: {
      count: text,
      seed: text,
      only: text,
      work: text,
      lanes: text,
      keep: flag,
      'no-trash': flag,
      help: flag,
    },
  })
  const seed = Number(values.seed ?? Date.now() % 2 ** 31)
  const count = Number(values.count ?? process.env['COFFER_DAMAGES'] ?? 100)
  const lanes = Number(values.lanes ?? LANES)
  const only = values.only === undefined ? undefined : Number(values.only)
  const isValid = [seed, count, lanes, only ?? 0].every(number => number >= 0)
  if (values.help === true || !isValid) {
    console.error(USAGE)
    process.exitCode = 2
    return
  }
  const work = values.work ?? join('/tmp', `coffer-damage-${seed}`)
  mkdirSync(work, { recursive: true })
  process.stdout.write(`seed ${seed}, ${count} damages, in ${work}\n`)
  const results = await runDamages({
    seed,
    count,
    work,
    lanes,
    ...(only !== undefined && { only }),
    hasTrash: values['no-trash'] !== true,
    keepsFailures: values.keep === true,
    results: join(work, 'results.jsonl'),
    told: result => {
      if (result.violations.length > 0) process.stdout.write(lineOf(result))
    },
  })
  process.stdout.write(summaryOf(results))
  if (results.some(({ violations }) => violations.length > 0)) {
    process.stdout.write(`A case again: --seed ${seed} --work ${work} --keep --only NUMBER\n`)
    process.exitCode = 1
  } else if (values.work === undefined) rmSync(work, { recursive: true })
}

await main()
