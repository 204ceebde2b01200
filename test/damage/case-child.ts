// Runs cases in a process of its own, so that an abort or a hang of it is seen. It takes one order after the other.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { blockFilesIn } from './damages.ts'
import type { Model } from './model.ts'
import { observe, type Observation } from './observe.ts'

export interface Order {
  readonly directory: string
  readonly modelPath: string
}

export type Message =
  | { readonly step: string }
  | { readonly startedBlocks: readonly number[] }
  | { readonly observation: Observation }

process.on('message', (order: Order) => {
  void work(order)
})

async function work({ directory, modelPath }: Order): Promise<void> {
  const model = JSON.parse(readFileSync(modelPath, 'utf8')) as Model
  const told = (step: string): void => {
    send({ step })
    if (step !== 'opened') return
    const blocks = blockFilesIn(join(directory, 'store'))
    send({ startedBlocks: blocks.map(({ block }) => block) })
  }
  send({ observation: await observe(directory, model, told) })
}

function send(message: Message): void {
  process.send?.(message)
}
