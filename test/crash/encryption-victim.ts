// A process that kills itself at the n-th step of a change of a group's keys, or of the first write after it. What it
// prints is what it promised: "done" is the answer to the change, "kept NAME HASH" is durable.
//
//   node encryption-victim.js DIRECTORY SCENARIO STEP

import '../helpers/cheap-scrypt.ts'
import { writeSync } from 'node:fs'
import { FatalStep } from '../helpers/fatal-step.ts'
import { contentOf, OpenStore, sha256 } from '../helpers/open-store.ts'
import { GROUP, OLD, SCENARIOS } from './encryption-scenarios.ts'

const [directory = '', scenarioText = '', stepText = '0'] = process.argv.slice(2)
const STDOUT = 1

function say(line: string): void {
  writeSync(STDOUT, `${line}\n`)
}

const scenario = SCENARIOS[Number(scenarioText)]
if (scenario === undefined) throw new Error(`there is no scenario ${scenarioText}`)
const fatal = new FatalStep(Number(stepText))
await fatal.instrumentFiles(import.meta.filename)
const store = await OpenStore.open(directory)
const { encryption, groups, metadata } = store.storage
const group = groups.named(GROUP)
if (encryption.isLocked(group.id) || encryption.hasPassphrase(group.id)) {
  if (scenario.startsLocked !== true) await encryption.unlock(group, OLD)
}
metadata.commit = fatal.around(metadata.commit.bind(metadata)) as () => Promise<void>

fatal.isCounting = true
await scenario.change(store)
say('done')
if (!encryption.isLocked(group.id)) {
  const late = contentOf(99, 120_000)
  await store.write('v/late', late, true)
  say(`kept v/late ${sha256(late)}`)
}
fatal.isCounting = false
await store.close()
say(`steps ${fatal.count}`)
