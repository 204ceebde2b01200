// The program behind scripts/torture.

import { appendFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Round } from './round.ts'
import { type Outcome, torture } from './torture.ts'

const HOUR_MS = 3_600_000
const USAGE = `usage: npm run torture -- [--hours H | --kills N --cuts N] [--lanes L] [--seed S] [--keep DIR] [--without STEP] [--full-disks]

--hours H        as long as that, kills and cuts beside each other
--kills N        so many kills (100 unless told)
--cuts N         so many power cuts (30 unless told)
--lanes L        so many of each beside each other (1 unless told)
--seed S         makes the same choices again
--keep DIR       for the log, and the store of a round that lost something (/tmp/torture-SEED unless told)
--without STEP   one sync is left out, as block.sync: proves that the rounds find it
--full-disks     all disks are full before their last cut, not only half of them`

interface Settings {
  readonly kills: number
  readonly cuts: number
  readonly untilMs: number
  readonly lanes: number
  readonly seed: number
  readonly keepIn: string
  readonly without: string | undefined
  readonly fillsEveryDisk: boolean
}

function readSettings(args: string[]): Settings | undefined {
  const text = { type: 'string' } as const
  const counts = { hours: text, kills: text, cuts: text, lanes: text }
  const fills = { 'full-disks': { type: 'boolean' } } as const
  const options = { ...counts, ...fills, seed: text, keep: text, without: text }
  const { values } = parseArgs({ args, options })
  const { hours, kills, cuts, lanes = '1' } = values
  const { seed = String(Date.now() % 2 ** 31), keep, without } = values
  // Whoever says how many wants no more; and whoever says how long, no fewer.
  const isCounted = kills !== undefined || cuts !== undefined
  const count = (value: string | undefined, otherwise: number): number => {
    if (value !== undefined) return Number(value)
    if (isCounted) return 0
    return hours === undefined ? otherwise : Infinity
  }
  const settings = {
    kills: count(kills, 100),
    cuts: count(cuts, 30),
    untilMs: hours === undefined ? Infinity : performance.now() + Number(hours) * HOUR_MS,
    lanes: Number(lanes),
    seed: Number(seed),
    keepIn: keep ?? join('/tmp', `torture-${seed}`),
    without,
    fillsEveryDisk: values['full-disks'] ?? false,
  }
  const { untilMs } = settings
  const numbers = [settings.kills, settings.cuts, settings.lanes, settings.seed, untilMs]
  const isValid = numbers.every(number => number >= 0)
  return isValid ? settings : undefined
}

function lineOf({ kind, seed, circumstances, facts, wrongs, kept }: Round): string {
  const outcome = wrongs.length === 0 ? 'whole' : `LOST, kept in ${kept}:\n${wrongs.join('\n')}`
  const time = new Date().toISOString()
  return `${time} ${kind} seed ${seed} (${circumstances}): ${facts} facts, ${outcome}\n`
}

function tableOf({ totals, skipped }: Outcome): string {
  const sum = { rounds: 0, facts: 0, losses: 0 }
  const lines = [...totals].map(([kind, total]) => {
    sum.rounds += total.rounds
    sum.facts += total.facts
    sum.losses += total.losses
    return [kind, total.rounds, total.facts, total.losses]
  })
  const rows = [['', 'rounds', 'facts', 'losses'], ...lines, ['all', ...Object.values(sum)]]
  const table = rows.map(([head = '', ...numbers]) => {
    const cells = numbers.map(number => String(number).padStart(10))
    return `${String(head).padEnd(8)}${cells.join('')}`
  })
  for (const [filesystem, reason] of skipped) table.push(`no cuts on ${filesystem}: ${reason}`)
  return `${table.join('\n')}\n`
}

async function main({ seed, keepIn, without, ...counts }: Settings): Promise<void> {
  await mkdir(keepIn, { recursive: true })
  const log = join(keepIn, 'rounds.log')
  const say = async (text: string): Promise<void> => {
    process.stdout.write(text)
    await appendFile(log, text)
  }
  let isStopped = false
  process.once('SIGINT', () => {
    isStopped = true
  })
  const limits = `${counts.kills} kills, ${counts.cuts} cuts`
  await say(`seed ${seed}, ${limits}${without === undefined ? '' : `, without ${without}`}\n`)
  const outcome = await torture({
    ...counts,
    seed,
    keepIn,
    ...(without !== undefined && { env: { COFFER_FAULT: `${without}.before:lost` } }),
    told: round => say(lineOf(round)),
    isStopped: () => isStopped,
  })
  await say(tableOf(outcome))
  if ([...outcome.totals.values()].some(({ losses }) => losses > 0)) process.exitCode = 1
}

const settings = readSettings(process.argv.slice(2))
if (settings === undefined) {
  console.error(USAGE)
  process.exitCode = 2
} else await main(settings)
