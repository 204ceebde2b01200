// coffer maintenance repair | repair-history | clear-quarantine

import type { Argv } from 'yargs'

import type { QuarantineInfo, RepairInfo, RepairPlanInfo } from '../control/methods.ts'
import { CofferError } from '../errors.ts'
import { plural, pluralWith } from '../plural.ts'
import { confirm, print, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { UsageError } from './exit-codes.ts'
import { formatPairs, formatRest, formatTable } from './format.ts'
import type { CliIo } from './io.ts'
import { DRY_RUN, formatLostFiles, groupOption, scopeOf, WAIT } from './long-work.ts'
import { followJob } from './progress.ts'

export function addRepairCommands(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return addClear(io, addRepair(io, family)).command(
    'repair-history',
    'What the latest repairs did, and what they left alone',
    args => args.example('$0 maintenance repair-history', 'The latest first'),
    async argv => {
      const reply = await withControl(io, argv, client =>
        client.call('maintenance.repairHistory', {}),
      )
      print(io, argv, reply, ({ repairs }) =>
        repairs.length === 0
          ? 'There has been no repair yet.\n'
          : repairs.map(formatRepair).join('\n'),
      )
    },
  )
}

function addRepair(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return family.command(
    'repair',
    'Repair what a scan of the metadata finds; clients go on meanwhile',
    args =>
      args
        .option('group', groupOption("Only this group's data"))
        .option('wait', WAIT)
        .option('dry-run', DRY_RUN)
        .example('$0 maintenance repair --dry-run', 'One line for each thing that it would do')
        .example('$0 maintenance repair --wait', 'With copies of all records that it changes'),
    async argv => {
      const { wait, dryRun } = argv
      const scope = scopeOf(argv)
      if (dryRun && wait) throw new UsageError('--dry-run does nothing that could be waited for.')
      if (dryRun) {
        const plan = await withControl(io, argv, client =>
          client.call('maintenance.planRepair', scope),
        )
        print(io, argv, plan, formatPlan)
        return
      }
      if (!wait) {
        const begun = await withControl(io, argv, client =>
          client.call('maintenance.repair', scope),
        )
        print(
          io,
          argv,
          begun,
          ({ id, job }) => `Repair ${id} has begun; see "coffer jobs watch ${job}".\n`,
        )
        return
      }
      const repair = await withControl(io, argv, async client => {
        const { id, job } = await client.call('maintenance.repair', scope)
        await followJob(io, argv, client, job)
        const { repairs } = await client.call('maintenance.repairHistory', {})
        return repairs.find(each => each.id === id)
      })
      if (repair === undefined) throw new CofferError('REPAIR_FAILED', 'It left no report.')
      print(io, argv, repair, formatRepair)
      if (repair.outcome === 'failed') throw new CofferError('REPAIR_FAILED', repair.text)
      if (repair.outcome !== 'clean' && repair.outcome !== 'repaired') {
        throw new CofferError('REPAIR_INCOMPLETE', 'Not everything could be repaired.')
      }
    },
  )
}

function addClear(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return family.command(
    'clear-quarantine',
    'Forget the files that repairs could not save',
    args =>
      args
        .option('delete-files', {
          type: 'boolean',
          default: false,
          describe: 'Delete them too, as far as they are damaged still',
        })
        .option('dry-run', { type: 'boolean', default: false, describe: 'Only show what there is' })
        .option('yes', { type: 'boolean', default: false, describe: "Don't ask" })
        .example('$0 maintenance clear-quarantine --dry-run', 'What is quarantined')
        .example(
          '$0 maintenance clear-quarantine --delete-files --yes',
          'Delete what is lost; the next pass of the cleaner frees its space',
        ),
    async argv => {
      const { deleteFiles, dryRun } = argv
      const call = (isDryRun: boolean): Promise<QuarantineInfo> =>
        withControl(io, argv, client =>
          client.call('maintenance.clearQuarantine', { deleteFiles, dryRun: isDryRun }),
        )
      const listed = await call(true)
      if (dryRun) {
        print(io, argv, listed, formatQuarantine)
        return
      }
      const consequence = deleteFiles
        ? `${plural(listed.fileCount, 'damaged file')} will be deleted for good.`
        : `${pluralWith(listed.fileCount, 'damaged file', ['is', 'are'])} forgotten; what is lost stays unreadable.`
      await confirm(io, argv.yes, consequence)
      print(io, argv, await call(false), formatCleared)
    },
  )
}

function formatPlan({ actions, actionCount, left, leftCount }: RepairPlanInfo): string {
  if (actionCount + leftCount === 0) return 'There is nothing to repair.\n'
  const parts: string[] = []
  if (actions.length > 0) {
    const rows = actions.map(({ check, text }) => [check, text])
    parts.push(
      `${formatTable(['Check', 'Action'], rows)}${formatRest(actionCount - actions.length)}`,
    )
  }
  if (left.length > 0) {
    const rows = left.map(({ check, text, why }) => [check, text, why])
    parts.push(
      `${formatTable(['Check', 'Left alone', 'Why'], rows)}${formatRest(leftCount - left.length)}`,
    )
  }
  return parts.join('\n')
}

function formatRepair(repair: RepairInfo): string {
  const { id, outcome, text, done, doneCount, left, leftCount } = repair
  const parts = [
    formatPairs([
      ['Repair', id],
      ['Group', repair.group ?? 'all'],
      ['Outcome', text === '' ? outcome : `${outcome}: ${text}`],
      ['Started', repair.startedAt],
      ['Ended', repair.endedAt ?? '-'],
      ['Repaired', doneCount],
      ['Left Alone', leftCount],
      ['Files with Losses', repair.quarantinedFileCount],
      ['Records Kept In', repair.backups.length === 0 ? '-' : repair.backups.join(' ')],
    ]),
  ]
  if (doneCount + leftCount > 0) {
    parts.push(
      formatPlan({
        actions: done,
        actionCount: doneCount,
        left,
        leftCount,
      }),
    )
  }
  return parts.join('\n')
}

function formatQuarantine({ files, fileCount, blocks }: QuarantineInfo): string {
  if (fileCount + blocks.length === 0) return 'Nothing is quarantined.\n'
  const parts: string[] = []
  if (files.length > 0) {
    parts.push(formatLostFiles(files, fileCount))
  }
  if (blocks.length > 0) {
    const rows = blocks.map(({ block, reason }) => [String(block), reason])
    parts.push(formatTable(['Block', 'Damage'], rows))
  }
  return parts.join('\n')
}

function formatCleared({ fileCount, deletedFileCount }: QuarantineInfo): string {
  return formatPairs([
    ['Forgotten', fileCount],
    ['Deleted', deletedFileCount],
  ])
}
