// Runs cases in a process of its own, so that an abort or a hang of it is seen. It takes one order after the other.

import { readFileSync } from 'node:fs'
import type { Model } from './model.ts'
import { observe, type Observation } from './observe.ts'

export interface Order {
  readonly directory: string
  readonly modelPath: string
}

export type Message = { readonly step: string } | { readonly observation: Observation }

process.on('message', (order: Order) => {
  void work(order)
})

async function work({ directory, modelPath }: Order): Promise<void> {
  const model = JSON.parse(readFileSync(modelPath, 'utf8')) as Model
  send({ observation: await observe(directory, model, step => send({ step })) })
}

function send(message: Message): void {
  process.send?.(message)
}
