// One case in a process of its own, so that an abort or a hang of it is seen.
//
//   node case-child.js DIRECTORY MODEL

import { readFileSync } from 'node:fs'
import type { Model } from './model.ts'
import { observe, type Observation } from './observe.ts'

export type Message = { readonly step: string } | { readonly observation: Observation }

const [directory = '', modelPath = ''] = process.argv.slice(2)
const model = JSON.parse(readFileSync(modelPath, 'utf8')) as Model
const observation = await observe(directory, model, step => send({ step }))
process.send?.({ observation } satisfies Message, () => process.exit(0))

function send(message: Message): void {
  process.send?.(message)
}
