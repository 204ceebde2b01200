// coffer maintenance reclaim-space | stop-reclaim-space | scan … | repair … | rebuild-index | diagnostics …

import type { Argv } from 'yargs'

import type { ControlClient } from '../control/client.ts'
import type { CleanerPass, CleanerPlan } from '../control/methods.ts'
import { print, withControl } from './common.ts'
import type { GlobalArgs } from './common.ts'
import { addDiagnosticsCommands } from './diagnostics.ts'
import { CofferError } from '../errors.ts'
import { UsageError } from './exit-codes.ts'
import { formatPairs, formatRest, formatTable } from './format.ts'
import type { Pair } from './format.ts'
import type { CliIo } from './io.ts'
import { addHoldCommand } from './hold.ts'
import { DRY_RUN, groupOption, scopeOf, WAIT } from './long-work.ts'
import { followJob, watchJob } from './progress.ts'
import { addRepairCommands } from './repair.ts'
import { addScanCommands } from './scan.ts'
import { formatSize } from './sizes.ts'
import { addTrashCommands } from './trash.ts'

export function addMaintenanceCommands(io: CliIo, yargs: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return yargs.command('maintenance', 'Maintenance of the store', family =>
    addDiagnosticsCommands(
      io,
      addRebuildCommand(
        io,
        addRepairCommands(
          io,
          addScanCommands(
            io,
            addHoldCommand(io, addTrashCommands(io, addCleanerCommands(io, family))),
          ),
        ),
      ),
    )
      .example('$0 maintenance reclaim-space --wait', 'Give back the space of what was deleted')
      .demandCommand(
        1,
        1,
        'Say what to do: maintenance reclaim-space, stop-reclaim-space, trash, empty-trash, undo-free, hold, scan, scan-status, scan-report, stop-scan, repair, repair-history, clear-quarantine, rebuild-index or diagnostics.',
      ),
  )
}

function addCleanerCommands(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return family
    .command(
      'reclaim-space',
      'Run the cleaner once: free, compact, encrypt, retire keys',
      args =>
        args
          .option('group', groupOption('Only this group'))
          .option('wait', WAIT)
          .option('dry-run', DRY_RUN)
          .example('$0 maintenance reclaim-space --wait', 'Now, with a bar until it has ended')
          .example('$0 maintenance reclaim-space --dry-run', 'What there is to gain'),
      async argv => {
        const { wait, dryRun } = argv
        const scope = scopeOf(argv)
        if (dryRun && wait) throw new UsageError('--dry-run does nothing that could be waited for.')
        if (dryRun) {
          const plan = await withControl(io, argv, client =>
            client.call('maintenance.planReclaimSpace', scope),
          )
          print(io, argv, plan, formatPlan)
          return
        }
        const pass = await withControl(io, argv, async client => {
          const begun = await client.call('maintenance.reclaimSpace', scope)
          return wait ? endOfPass(io, argv, client, begun) : begun
        })
        print(io, argv, pass, reply =>
          wait ? formatPass(reply) : `Pass ${reply.id} has begun; see "coffer stats cleaner".\n`,
        )
        if (pass.outcome === 'failed') throw new CofferError('PASS_FAILED', pass.text)
      },
    )
    .command(
      'stop-reclaim-space',
      'Stop the cleaner',
      args => args.example('$0 maintenance stop-reclaim-space', 'What is half-way is finished'),
      async argv => {
        const reply = await withControl(io, argv, client =>
          client.call('maintenance.stopReclaimSpace', {}),
        )
        print(io, argv, reply, ({ pass }) =>
          pass === null ? 'The cleaner is not running.\n' : formatPass(pass),
        )
      },
    )
}

function addRebuildCommand(io: CliIo, family: Argv<GlobalArgs>): Argv<GlobalArgs> {
  return family.command(
    'rebuild-index',
    'Make the chunk index again from the block files; clients go on meanwhile, the cleaner waits',
    args =>
      args
        .option('group', groupOption('Only this group'))
        .option('wait', WAIT)
        .option('dry-run', {
          ...DRY_RUN,
          describe: 'Read everything and say what would be changed',
        })
        .example('$0 maintenance rebuild-index --wait', 'All groups, with a bar until it has ended')
        .example('$0 maintenance rebuild-index --group office --dry-run --wait', 'Only look'),
    async argv => {
      const { dryRun, wait } = argv
      await withControl(io, argv, async client => {
        const params = { dryRun, ...scopeOf(argv) }
        const reply = await client.call('maintenance.rebuildIndex', params)
        if (wait) await watchJob(io, argv, client, reply.job)
        else print(io, argv, reply, ({ job }) => `It has begun; see "coffer jobs watch ${job}".\n`)
      })
    },
  )
}

/** Shows how far the pass is until it ends. */
async function endOfPass(
  io: CliIo,
  argv: GlobalArgs,
  client: ControlClient,
  { id, job }: CleanerPass & { job: number },
): Promise<CleanerPass> {
  await followJob(io, argv, client, job)
  const { history } = await client.call('stats.cleaner', {})
  const pass = history.find(each => each.id === id)
  if (pass === undefined) throw new CofferError('PASS_FAILED', `Pass ${id} left no report.`)
  return pass
}

/** What a pass did, for people. */
export function formatPass(pass: CleanerPass): string {
  return formatPairs(passPairs(pass))
}

export function passPairs(pass: CleanerPass): Pair[] {
  return [
    ['Pass', `${pass.id} (${pass.kind})`],
    ['Group', pass.group ?? 'all'],
    ['Outcome', pass.text === '' ? pass.outcome : `${pass.outcome}: ${pass.text}`],
    ['Started', pass.startedAt],
    ...(pass.endedAt === null ? [] : ([['Ended', pass.endedAt]] satisfies Pair[])),
    ['Freed', `${formatSize(pass.freedBytes)} in block files`],
    ['Written Anew', formatSize(pass.writtenBytes)],
    ['Compacted', formatSize(pass.compactedBytes)],
    ['Recompressed', formatSize(pass.recompressedBytes)],
    ['Encrypted', formatSize(pass.encryptedBytes)],
    ['Blocks Freed', pass.freedBlocks],
    ['Blocks Copied', pass.copiedBlocks],
    ['Blocks Damaged', pass.damagedBlocks],
    ['Keys Retired', pass.retiredKeys],
  ]
}

function formatPlan({ blocks, blockCount, reclaimableBytes }: CleanerPlan): string {
  const summary = formatPairs([
    ['Reclaimable', formatSize(reclaimableBytes)],
    ['Blocks', blockCount],
  ])
  if (blocks.length === 0) return summary
  const table = formatTable(
    ['Block', 'Group', 'Action', 'Size', 'Gain', 'Reason'],
    blocks.map(({ block, group, action, fileBytes, gainBytes, reason }) => [
      String(block),
      group,
      action,
      formatSize(fileBytes),
      formatSize(gainBytes),
      reason,
    ]),
  )
  return `${summary}\n${table}${formatRest(blockCount - blocks.length)}`
}
