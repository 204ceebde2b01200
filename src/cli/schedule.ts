// coffer schedule show | add | delete

import type { Argv } from 'yargs'

import type { MethodResult } from '../control/methods.ts'
import { print, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { UsageError } from './exit-codes.ts'
import { formatPairs, formatTable } from './format.ts'
import type { CliIo } from './io.ts'

type Schedule = MethodResult<'schedule.show'>

const days = [
  'monday',
  'tuesday',
  'wednesday',
  'thursday',
  'friday',
  'saturday',
  'sunday',
  'daily',
  'weekdays',
  'weekend',
] as const

export function addScheduleCommands(io: CliIo, yargs: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return yargs.command('schedule', 'When the cleaner and scans have their turn', family =>
    family
      .command(
        'show',
        'Show the weekly windows, and when the next one opens',
        args => args.example('$0 schedule show', 'In local time'),
        async argv => {
          const reply = await withControl(io, argv, client => client.call('schedule.show', {}))
          print(io, argv, reply, writeSchedule)
        },
      )
      .command('add', 'Add a weekly window', addOptions, async argv => {
        if (argv.cleaner === argv.scan) {
          throw new UsageError('Say what the window is for: --cleaner or --scan.')
        }
        const purpose = argv.scan ? 'scan' : 'cleaner'
        const { day, start, stop } = argv
        const reply = await withControl(io, argv, client =>
          client.call('schedule.add', { purpose, day, start: padded(start), stop: padded(stop) }),
        )
        print(io, argv, reply, ({ id, ...window }) =>
          formatPairs([
            ['Id', id],
            ['For', window.purpose],
            ['Day', window.day],
            ['Start', window.start],
            ['Stop', window.stop],
          ]),
        )
      })
      .command(
        'delete <id>',
        'Delete a window',
        args =>
          args
            .positional('id', {
              type: 'string',
              demandOption: true,
              describe: 'As "schedule show" lists it',
            })
            .example('$0 schedule delete 2', 'The window with this number'),
        async argv => {
          if (!/^[1-9]\d{0,9}$/.test(argv.id)) {
            throw new UsageError(`"${argv.id}" is not the number of a window.`)
          }
          const id = Number(argv.id)
          const reply = await withControl(io, argv, client =>
            client.call('schedule.delete', { id }),
          )
          print(io, argv, reply, () => `Window ${id} is deleted.\n`)
        },
      )
      .example('$0 schedule show', 'When the cleaner has its turn')
      .demandCommand(1, 1, 'Say what to do: schedule show, add or delete.'),
  )
}

function addOptions(args: Argv<GlobalArgs>) {
  const time = { type: 'string', demandOption: true, requiresArg: true } as const
  return args
    .option('day', {
      choices: days,
      demandOption: true,
      requiresArg: true,
      describe: 'When it opens',
    })
    .option('cleaner', { type: 'boolean', default: false, describe: 'For the cleaner' })
    .option('scan', {
      type: 'boolean',
      default: false,
      describe: 'For a scan of all data; it goes on in the next window',
    })
    .option('start', { ...time, describe: 'hh:mm, local time of the daemon' })
    .option('stop', { ...time, describe: 'hh:mm; not later than the start: on the next day' })
    .example('$0 schedule add --day daily --cleaner --start 22:00 --stop 04:00', 'Every night')
    .example('$0 schedule add --day sunday --scan --start 06:00 --stop 18:00', 'Every week')
}

/** `2:30` is meant as `02:30`. What is no time at all the daemon refuses. */
function padded(time: string): string {
  return /^\d:/.test(time) ? `0${time}` : time
}

function writeSchedule({ zone, windows, open, next, scanOpen, scanNext }: Schedule): string {
  if (windows.length === 0) return 'There are no windows.\n'
  const table = formatTable(
    ['Id', 'For', 'Day', 'Start', 'Stop'],
    windows.map(({ id, purpose, day, start, stop }) => [id, purpose, day, start, stop]),
  )
  const local = localTime(zone)
  const opened = (now: Schedule['open']): string =>
    now === null ? 'no' : `${now.id}, until ${local(now.closesAt)}`
  const opening = (at: Schedule['next']): string =>
    at === null ? 'never' : `${at.id}, at ${local(at.opensAt)}`
  const pairs = formatPairs([
    ['Time Zone', zone],
    ['Cleaner Open', opened(open)],
    ['Cleaner Next', opening(next)],
    ['Scan Open', opened(scanOpen)],
    ['Scan Next', opening(scanNext)],
  ])
  return `${table}\n${pairs}`
}

/** Windows are local to the daemon, which may run elsewhere than its user lives. */
function localTime(timeZone: string): (iso: string) => string {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    weekday: 'long',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
  })
  return iso => {
    const parts = new Map(format.formatToParts(new Date(iso)).map(p => [p.type, p.value]))
    const part = (type: Intl.DateTimeFormatPartTypes): string => parts.get(type) ?? ''
    const date = `${part('year')}-${part('month')}-${part('day')}`
    return `${part('weekday')} ${date} ${part('hour')}:${part('minute')}`
  }
}
