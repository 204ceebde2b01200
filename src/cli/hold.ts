// coffer maintenance hold on | off

import type { Argv } from 'yargs'

import type { HoldInfo } from '../control/methods.ts'
import { print, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import type { CliIo } from './io.ts'

const STATES = ['on', 'off'] as const

export function addHoldCommand(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return family.command(
    'hold [state]',
    'Keep all data: the cleaner begins no pass by itself, and nothing in the trash expires',
    args =>
      args
        .positional('state', {
          choices: STATES,
          describe: 'Without it, show whether there is a hold',
        })
        .example('$0 maintenance hold on', 'Before looking for the reason of a mass deletion')
        .example('$0 maintenance hold off', 'The cleaner goes on'),
    async argv => {
      const { state } = argv
      const params = state === undefined ? {} : { set: state }
      const reply = await withControl(io, argv, client => client.call('maintenance.hold', params))
      print(io, argv, reply, formatHold)
    },
  )
}

function formatHold({ isHeld, since }: HoldInfo): string {
  if (!isHeld) {
    return 'There is no hold: the cleaner begins passes by itself, and files in the trash expire.\n'
  }
  return (
    `There has been a hold since ${since ?? 'an unknown time'}: the cleaner begins no pass by itself, and nothing in the trash ` +
    'expires. When the disk is almost full, room is still made from the trash.\n'
  )
}
