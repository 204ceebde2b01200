// What test/system/commands.test.ts types: every command, and each also as QoreStor's command line spells it, where that is
// known. With what the answer must be.

import type { z } from 'zod'

import { methods } from '../../src/control/methods.ts'
import { nothing } from '../../src/control/schemas.ts'

/** `{x}` in a line is the field x of the latest answer that had one. */
export type Line = readonly [line: string, answer: z.ZodType]

export interface Surroundings {
  readonly mailPort: number
  readonly passphraseFile: string
}

const result = <M extends keyof typeof methods>(method: M): z.ZodType => methods[method].result
const repairInfo = methods['maintenance.repairHistory'].result.shape.repairs.element
const pass = methods['stats.cleaner'].result.shape.history.element

/** Lists that may run side by side; each is run in its order. */
export function commandLines({ mailPort, passphraseFile }: Surroundings): readonly Line[][] {
  return [
    groupLines(passphraseFile),
    [...containerLines, ...cleanerLines],
    [...watchLines, ...mailLines(mailPort), ...scheduleLines],
  ]
}

function groupLines(file: string): Line[] {
  const group = result('storageGroup.show')
  const changed = result('storageGroup.add')
  const keys = result('storageGroup.keys')
  return [
    ['storage-group add vault --compression best --quota unlimited', changed],
    ['storage_group --add --name office --compression_mode none --chunk_size 32KiB', changed],
    ['storage-group show', group],
    ['storage_group --show --name office', group],
    ['storage-group update vault --compression fast --quota 2TB', changed],
    ['storage_group --update --name office --compression_mode best', changed],
    [`storage-group set-passphrase vault --passphrase-file ${file}`, nothing],
    [`storage_group --set_passphrase --name office --passphrase_file ${file}`, nothing],
    ['storage-group encryption vault --set on --interval 90d --yes', changed],
    ['storage_group --encryption --name office --set on --mode static --yes', changed],
    ['storage-group keys vault', keys],
    ['storage_group --keys --name office', keys],
    ['storage-group rotate-key vault', changed],
    ['storage_group --rotate_key --name vault', changed],
    ['storage-group lock vault --yes', changed],
    ['storage_group --lock --name office --yes', changed],
    ['alerts acknowledge GROUP_LOCKED vault --note on-purpose', result('alerts.acknowledge')],
    ['alerts --acknowledge --name GROUP_LOCKED', result('alerts.acknowledge')],
    [`storage-group unlock vault --passphrase-file ${file}`, changed],
    [`storage_group --unlock --name office --passphrase_file ${file}`, changed],
    ['storage-group delete vault --yes', nothing],
    ['storage_group --delete --name office --yes', nothing],
  ]
}

const containerLines: Line[] = [
  ['container add first', result('container.add')],
  ['container --add --name second --group_name DefaultGroup', result('container.add')],
  ['container show', result('container.show')],
  ['container --show --name second --verbose', result('container.show')],
  ['container rename first third', result('container.rename')],
  ['stats system', result('stats.system')],
  ['stats --system', result('stats.system')],
  ['stats system --prometheus', result('stats.prometheus')],
  ['stats storage-group DefaultGroup', result('stats.storageGroup')],
  ['stats --storage_group --name DefaultGroup', result('stats.storageGroup')],
  ['stats container third', result('stats.container')],
  ['stats --container --name second', result('stats.container')],
  ['container delete third --delete-files --yes', result('container.delete')],
  ['container --delete --name second', result('container.delete')],
]

const cleanerLines: Line[] = [
  ['maintenance reclaim-space --dry-run', result('maintenance.planReclaimSpace')],
  ['maintenance reclaim-space', result('maintenance.reclaimSpace')],
  ['jobs watch {job}', result('jobs.watch')],
  ['jobs show', result('jobs.list')],
  ['maintenance --reclaim_space --group DefaultGroup --wait', pass],
  ['stats cleaner', result('stats.cleaner')],
  ['stats clients', result('stats.clients')],
  ['stats --clients', result('stats.clients')],
  ['stats --cleaner', result('stats.cleaner')],
  ['maintenance rebuild-index --group DefaultGroup', result('maintenance.rebuildIndex')],
  ['jobs watch {job}', result('jobs.watch')],
  ['maintenance --rebuild_index --group DefaultGroup --dry_run --wait', result('jobs.watch')],
  ['maintenance stop-reclaim-space', result('maintenance.stopReclaimSpace')],
  ['maintenance --stop_reclaim_space', result('maintenance.stopReclaimSpace')],
  ['maintenance trash', result('maintenance.trash')],
  ['maintenance undo-free --dry-run', result('maintenance.undoFree')],
  ['maintenance --undo_free', result('maintenance.undoFree')],
  ['maintenance hold on', result('maintenance.hold')],
  ['maintenance hold', result('maintenance.hold')],
  ['maintenance hold off', result('maintenance.hold')],
  ['maintenance empty-trash --group DefaultGroup --yes', result('maintenance.emptyTrash')],
  ['maintenance --empty_trash --dry_run', result('maintenance.emptyTrash')],
  ['maintenance scan --data --wait', result('maintenance.scanReport')],
  ['maintenance --scan --group DefaultGroup --wait', result('maintenance.scanReport')],
  ['maintenance scan-status', result('maintenance.scanStatus')],
  ['maintenance --scan_status', result('maintenance.scanStatus')],
  ['maintenance scan-report', result('maintenance.scanReport')],
  ['maintenance --scan_report', result('maintenance.scanReport')],
  ['maintenance stop-scan', result('maintenance.stopScan')],
  ['maintenance --stop_scan', result('maintenance.stopScan')],
  ['maintenance repair --dry-run', result('maintenance.planRepair')],
  ['maintenance repair --wait', repairInfo],
  ['maintenance --repair --wait', repairInfo],
  ['maintenance repair-history', result('maintenance.repairHistory')],
  ['maintenance --repair_history', result('maintenance.repairHistory')],
  ['maintenance clear-quarantine --yes', result('maintenance.clearQuarantine')],
  ['maintenance --clear_quarantine --yes', result('maintenance.clearQuarantine')],
]

const watchLines: Line[] = [
  ['status', result('system.status')],
  ['system --show', result('system.status')],
  ['alerts show', result('alerts.show')],
  ['alerts --show --summary', result('alerts.show')],
  ['events show --all', result('events.show')],
  ['events --show --index -1 --count 1', result('events.show')],
  ['maintenance diagnostics collect --include-names', result('diagnostics.collect')],
  ['maintenance diagnostics show', result('diagnostics.show')],
  ['maintenance diagnostics delete {name} --yes', result('diagnostics.delete')],
]

function mailLines(port: number): Line[] {
  const status = result('emailAlerts.status')
  const relay = `--relay 127.0.0.1 --port ${port}`
  const people = '--sender backups@example.com --to a@example.com'
  return [
    [`email-alerts configure ${relay} --sender-name Backups ${people}`, status],
    [`email_alerts --configure ${relay} --sender_name Backups ${people}`, status],
    ['email-alerts enable', status],
    ['email_alerts --enable', status],
    ['email-alerts test-email', nothing],
    ['email_alerts --test_email', nothing],
    ['email-alerts status', status],
    ['email_alerts --status', status],
    ['email-alerts disable', status],
    ['email_alerts --disable', status],
    ['email-alerts clear-config --yes', status],
    ['email_alerts --clear_config --yes', status],
  ]
}

const scheduleLines: Line[] = [
  ['schedule add --day weekdays --cleaner --start 22:00 --stop 4:00', result('schedule.add')],
  ['schedule delete {id}', nothing],
  ['schedule --add --day sunday --cleaner --start 01:00 --stop 02:00', result('schedule.add')],
  ['schedule add --day sunday --scan --start 06:00 --stop 18:00', result('schedule.add')],
  ['schedule show', result('schedule.show')],
  ['schedule --show', result('schedule.show')],
  ['schedule --delete {id}', nothing],
]
