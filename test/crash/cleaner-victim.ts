// A process that kills itself at the n-th step of a cleaner's pass, while clients write. What it prints is what it
// promised: "kept NAME HASH" is durable, "changing NAME" says that the last promise of that name may be off.
//
//   node cleaner-victim.js DIRECTORY SEED STEP

import { writeSync } from 'node:fs'
import type { PassParts } from '../../src/cleaner/index.ts'
import { contentOf, OpenStore, sha256 } from '../helpers/open-store.ts'

const [directory = '', seedText = '0', stepText = '0'] = process.argv.slice(2)
const seed = Number(seedText)
const fatalStep = Number(stepText)
const PASSPHRASE = Buffer.from('correct horse')
const STDOUT = 1

let step = 0
let isCounting = false

/** One more step of the pass; the chosen one is the last thing that this process does. */
function count(): void {
  if (isCounting && ++step === fatalStep) process.kill(process.pid, 'SIGKILL')
}

/** Every call of a method is a step, and so is its end. */
function counted<Target extends object>(target: Target): Target {
  return new Proxy(target, {
    get(_target, property) {
      const value: unknown = Reflect.get(target, property)
      if (typeof value !== 'function') return value
      return (...parameters: unknown[]): unknown => {
        count()
        const result: unknown = Reflect.apply(value, target, parameters)
        return result instanceof Promise ? result.finally(count) : result
      }
    },
  })
}

function instrument(parts: PassParts): PassParts {
  return {
    ...parts,
    metadata: counted(parts.metadata),
    extents: counted(parts.extents),
    index: counted(parts.index),
    inFlight: counted(parts.inFlight),
    blocks: counted(parts.blocks),
    groups: counted(parts.groups),
  }
}

function say(line: string): void {
  writeSync(STDOUT, `${line}\n`)
}

const store = await OpenStore.open(directory, { instrument })
const { groups, encryption, cleaner } = store.storage
groups.add('Other', 'none')
store.addContainer('a')
store.addContainer('z', 'Other')

async function keep(name: string, content: Buffer): Promise<void> {
  say(`changing ${name}`)
  await store.write(name, content, true)
  say(`kept ${name} ${sha256(content)}`)
}

function remove(name: string): void {
  say(`changing ${name}`)
  store.remove(name)
}

for (let number = 0; number < 12; number++) {
  await keep(`a/f${number}`, contentOf(seed + (number % 8), 60_000 + number * 9000))
  await keep(`z/f${number}`, contentOf(seed + number, 50_000))
}
// Block files of two kinds, some dead, some half-dead, and a group that is to be encrypted.
groups.update('DefaultGroup', { compression: 'none' })
for (let number = 12; number < 18; number++) {
  await keep(`a/f${number}`, contentOf(seed + number, 150_000))
}
for (const number of [1, 3, 9, 12, 13, 14]) remove(`a/f${number}`)
for (const number of [0, 2, 4, 6]) remove(`z/f${number}`)
if (seed % 2 === 0) {
  const other = groups.named('Other')
  await encryption.setPassphrase(other, undefined, PASSPHRASE)
  await encryption.set(other, { isOn: true })
}
await store.sync()

isCounting = true
const { done } = cleaner.start('manual')
const writing = (async () => {
  for (let number = 0; number < 6; number++) {
    // Partly what lies in block files that are being deleted.
    await keep(`a/new${number}`, contentOf(seed + (number % 4) * 2, 150_000))
    if (number % 2 === 1) remove(`a/f${number + 3}`)
    await store.copy('a/f0', `a/copy${number}`)
    await store.sync()
    say(`kept a/copy${number} ${sha256(contentOf(seed, 60_000))}`)
  }
})()
const report = await done
isCounting = false
await writing
await store.close()
say(`done ${step} ${report.outcome}`)
