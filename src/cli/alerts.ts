// coffer alerts show | acknowledge

import type { Argv } from 'yargs'

import type { Alert, AlertList, MoreAlerts } from '../control/methods.ts'
import { print, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { formatTable } from './format.ts'
import type { CliIo } from './io.ts'

export function addAlertsCommands(io: CliIo, yargs: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return yargs.command('alerts', 'Alerts', family =>
    addAcknowledge(io, addShow(io, family))
      .example('$0 alerts show --summary', 'One line for each')
      .demandCommand(1, 1, 'Specify a subcommand: show or acknowledge.'),
  )
}

function addShow(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return family.command(
    'show',
    'Show alerts',
    args =>
      args
        .option('summary', {
          type: 'boolean',
          default: false,
          describe: 'Without what to do',
        })
        .example('$0 alerts show', 'Alerts, and what to do about each kind'),
    async argv => {
      const reply = await withControl(io, argv, client => client.call('alerts.show', {}))
      print(io, argv, reply, list =>
        list.alerts.length === 0
          ? 'There are no alerts.\n'
          : argv.summary
            ? listAlerts(list)
            : `${listAlerts(list)}\n${adviseAlerts(list.alerts)}`,
      )
    },
  )
}

function addAcknowledge(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return family.command(
    'acknowledge <code> [subject]',
    'Acknowledge an alert, or all alerts of a code',
    args =>
      args
        .positional('code', {
          type: 'string',
          demandOption: true,
          describe: 'As "alerts show" lists it',
        })
        .positional('subject', {
          type: 'string',
          describe: 'Which of several (default: all of the code)',
        })
        .option('note', {
          type: 'string',
          requiresArg: true,
          describe: 'Shown with the alert, at most 200 characters',
        })
        .example('$0 alerts acknowledge DATA_LOST 4711', 'One alert')
        .example(
          '$0 alerts acknowledge DAMAGED_BLOCK --note "new disk is ordered"',
          'All of a code',
        ),
    async argv => {
      const { code, subject, note } = argv
      const params = {
        code,
        ...(subject !== undefined && { subject }),
        ...(note !== undefined && { note }),
      }
      const reply = await withControl(io, argv, client => client.call('alerts.acknowledge', params))
      print(io, argv, reply, ({ acknowledged, removed }) =>
        removed > 0
          ? `Acknowledged and removed: ${removed}.\n`
          : acknowledged > 0
            ? `Acknowledged: ${acknowledged}; listed until the condition ends.\n`
            : 'All alerts of this code are acknowledged already.\n',
      )
    },
  )
}

/** @param list what the daemon answers; one of an earlier version lacks `moreAlerts` */
export function listAlerts({
  alerts,
  moreAlerts = [],
}: Pick<AlertList, 'alerts'> & Partial<AlertList>): string {
  const hasAcknowledged = alerts.some(({ acknowledgedAt }) => isTime(acknowledgedAt))
  const lastOf = new Map(alerts.map(({ code }, index) => [code, index]))
  const rows = alerts.flatMap((alert, index) => {
    const { severity, since, code, subject, text } = alert
    const row = [severity, since, code, subject ?? '', text]
    const more = moreAlerts.find(each => each.code === code && lastOf.get(code) === index)
    return [
      hasAcknowledged ? row.toSpliced(4, 0, acknowledgement(alert)) : row,
      ...(more === undefined ? [] : [moreRow(more, hasAcknowledged)]),
    ]
  })
  const acknowledged = hasAcknowledged ? ['Acknowledged'] : []
  return formatTable(['Severity', 'Since', 'Code', 'Subject', ...acknowledged, 'Text'], rows)
}

/** Alerts that need attention; `at least` when the daemon can't count them all. */
export function countOpen({
  alerts,
  moreAlerts = [],
}: Pick<AlertList, 'alerts'> & Partial<AlertList>): string {
  const acknowledgedListed = alerts.filter(({ acknowledgedAt }) => isTime(acknowledgedAt)).length
  const acknowledged = moreAlerts.reduce(
    (sum, { acknowledgedCount }) => sum + acknowledgedCount,
    acknowledgedListed,
  )
  const all = moreAlerts.reduce((sum, { count }) => sum + count, alerts.length)
  const atLeast = moreAlerts.some(({ isAtLeast }) => isAtLeast) ? 'at least ' : ''
  const beside = acknowledged === 0 ? '' : ` (and ${acknowledged} acknowledged)`
  return `${atLeast}${all - acknowledged}${beside}`
}

/** What status shows: without what is acknowledged. */
export function openAlerts({
  alerts,
  moreAlerts = [],
}: Pick<AlertList, 'alerts'> & Partial<AlertList>): AlertList {
  return {
    alerts: alerts.filter(({ acknowledgedAt }) => !isTime(acknowledgedAt)),
    moreAlerts: moreAlerts.flatMap(more => {
      const count = more.count - more.acknowledgedCount
      if (count === 0) return []
      const text = `and ${more.isAtLeast ? 'at least ' : ''}${count} more`
      return [{ ...more, count, acknowledgedCount: 0, text }]
    }),
  }
}

/** An earlier daemon says nothing of acknowledgements. */
function isTime(acknowledgedAt: string | null | undefined): acknowledgedAt is string {
  return typeof acknowledgedAt === 'string'
}

function acknowledgement({ acknowledgedAt, note }: Alert): string {
  if (!isTime(acknowledgedAt)) return ''
  return note === null ? acknowledgedAt : `${acknowledgedAt} ${note}`
}

function moreRow({ severity, code, text }: MoreAlerts, hasAcknowledged: boolean): string[] {
  return [severity, '', code, '', ...(hasAcknowledged ? [''] : []), text]
}

/** What to do, once for each kind. */
function adviseAlerts(alerts: readonly Alert[]): string {
  const advice = new Map(alerts.map(({ code, whatToDo }) => [code, whatToDo]))
  return formatTable(['Code', 'What to do'], [...advice])
}
