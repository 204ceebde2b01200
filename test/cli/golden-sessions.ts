// The command lines whose output is kept in test/cli/golden, and the daemon that answers them: the same each time.

import type { Alert, MoreAlerts } from '../../src/control/methods.ts'
import type { ControlTarget } from '../../src/control/target.ts'
import { fakeTarget } from '../control/fake-target.ts'

export interface Step {
  line: string
  /** What is typed when something is asked; without any there is no terminal. */
  answers?: readonly string[]
}

/** More than Linux gives to any process, so that `stop` finds it gone. */
const PID = 2 ** 22 + 1

const time = '2026-01-02T03:04:05.000Z'

const alerts: Alert[] = [
  {
    code: 'QUOTA_FULL',
    subject: 'office',
    severity: 'warning',
    title: 'A storage group is nearly full',
    text: 'The storage group office uses 95 % of its quota.',
    whatToDo: 'Raise the quota, or delete files and reclaim space.',
    since: time,
    acknowledgedAt: null,
    note: null,
  },
  {
    code: 'DISK_FULL',
    subject: null,
    severity: 'critical',
    title: 'The disk is full',
    text: 'The disk of the store is full; nothing can be written.',
    whatToDo: 'Delete files and reclaim space, or give the store a larger disk.',
    since: time,
    acknowledgedAt: null,
    note: null,
  },
  {
    code: 'GROUP_LOCKED',
    subject: 'office',
    severity: 'warning',
    title: 'A storage group is locked',
    text: 'The storage group office is locked.',
    whatToDo: 'Unlock it.',
    since: time,
    acknowledgedAt: time,
    note: 'until Monday',
  },
]

const moreAlerts: MoreAlerts[] = [
  {
    code: 'QUOTA_FULL',
    severity: 'warning',
    title: 'A storage group is nearly full',
    whatToDo: 'Raise the quota, or delete files and reclaim space.',
    count: 12,
    acknowledgedCount: 2,
    isAtLeast: false,
    text: 'and 12 more',
  },
]

/** The usual fake, with a process that is gone, alerts, keys and an encrypted group. */
export function goldenTarget(): ControlTarget {
  const target = fakeTarget({ pid: PID, alerts, moreAlerts, lockedGroups: ['office'] })
  return {
    ...target,
    // The fake keeps the very object that it returns.
    'storageGroup.add': async (params, caller) =>
      Object.assign(await target['storageGroup.add'](params, caller), {
        quotaBytes: params.quotaBytes ?? null,
      }),
    'storageGroup.update': async (params, caller) =>
      Object.assign(await target['storageGroup.update'](params, caller), {
        ...(params.quotaBytes !== undefined && { quotaBytes: params.quotaBytes }),
      }),
    'storageGroup.encryption': async (params, caller) =>
      Object.assign(await target['storageGroup.encryption'](params, caller), {
        mode: params.mode ?? 'internal',
        intervalDays: params.mode === 'static' ? null : (params.intervalDays ?? 30),
        encryptedPercent: 12.5,
      }),
    'storageGroup.keys': async ({ name }) => ({
      name,
      keys: [
        { id: 1, state: 'decrypt-only', createdAt: time, retiredAt: null, bytes: 5 * 1024 ** 3 },
        { id: 12, state: 'active', createdAt: time, retiredAt: null, bytes: 1024 },
      ],
      clearBytes: 3 * 1024 ** 2,
      pendingBytes: 7 * 1024 ** 2,
    }),
  }
}

/** File name -> what is typed, one after the other. */
export const goldenSessions: Readonly<Record<string, readonly Step[]>> = {
  daemon: [
    { line: 'status' },
    { line: 'run --store /srv/store --mount /srv/mount' },
    { line: 'start --store /srv/store --mount /srv/mount' },
    { line: 'start --store /srv/store' },
    { line: 'start --store /srv/store --mount /srv/mount --new-identity --moved' },
    { line: 'stop --force' },
    { line: 'stop --force', answers: ['no'] },
    { line: 'stop --force', answers: ['yes'] },
    { line: 'stop' },
  ],
  recover: [
    { line: 'recover --store /srv/store --dry-run' },
    { line: 'recover --store /srv/store' },
    { line: 'recover' },
  ],
  'storage-group': [
    { line: 'storage-group show' },
    { line: 'storage-group add office --compression best --chunk-size 32KiB --quota 2TB' },
    { line: 'storage-group show' },
    { line: 'storage-group show --verbose' },
    { line: 'storage-group show office' },
    { line: 'storage-group update office --compression none --quota unlimited' },
    { line: 'storage-group add a/b' },
    { line: 'storage-group add b --compression lots' },
    { line: 'storage-group add b --quota 5parsecs' },
    { line: 'storage-group delete office' },
    { line: 'storage-group delete office', answers: ['yes'] },
    { line: 'storage-group delete office --yes' },
  ],
  encryption: [
    { line: 'storage-group set-passphrase DefaultGroup' },
    { line: 'storage-group set-passphrase DefaultGroup', answers: ['first', 'frist'] },
    { line: 'storage-group set-passphrase DefaultGroup', answers: ['first', 'first'] },
    { line: 'storage-group set-passphrase DefaultGroup', answers: ['first', 'next', 'next'] },
    { line: 'storage-group encryption DefaultGroup --set on', answers: [''] },
    { line: 'storage-group encryption DefaultGroup --set on', answers: ['yes'] },
    { line: 'storage-group encryption DefaultGroup --mode static' },
    { line: 'storage-group encryption DefaultGroup --interval 2fortnights' },
    { line: 'storage-group keys DefaultGroup' },
    { line: 'storage-group rotate-key DefaultGroup' },
    { line: 'storage-group lock DefaultGroup', answers: ['yes'] },
    { line: 'storage-group unlock DefaultGroup', answers: ['next'] },
  ],
  container: [
    { line: 'container show' },
    { line: 'container add backups' },
    { line: 'container add mail --group office' },
    { line: 'container add backups' },
    { line: 'container show' },
    { line: 'container show backups' },
    { line: 'container show nope' },
    { line: 'container show backups --verbose' },
    { line: 'container rename mail post' },
    { line: 'container rename post backups' },
    { line: 'container rename post mail' },
    { line: 'container delete backups' },
    { line: 'container delete mail --delete-files' },
    { line: 'container delete mail --delete-files', answers: ['yes'] },
  ],
  stats: [
    { line: 'container add backups' },
    { line: 'stats system' },
    { line: 'stats storage-group DefaultGroup' },
    { line: 'stats container backups' },
    { line: 'stats container nope' },
    { line: 'stats clients' },
    { line: 'stats cleaner' },
  ],
  alerts: [
    { line: 'alerts show' },
    { line: 'alerts show --summary' },
    { line: 'alerts acknowledge QUOTA_FULL office --note quota-comes-on-Monday' },
    { line: 'alerts acknowledge NO_SUCH' },
    { line: 'alerts acknowledge' },
    { line: 'events show' },
    { line: 'events show --index -5 --count 2' },
    { line: 'events show --index five' },
  ],
  'email-alerts': [
    { line: 'email-alerts status' },
    { line: 'email-alerts configure' },
    {
      line: 'email-alerts configure',
      answers: ['mail.example.org', 'Backups', 'b@example.org', 'a@example.org'],
    },
    {
      line: 'email-alerts configure --relay mail.example.org --port 587 --tls starttls --sender-name Backups --sender b@example.org --to a@example.org --to c@example.org --cc d@example.org',
    },
    { line: 'email-alerts configure --relay mail.example.org --port lots' },
    { line: 'email-alerts enable' },
    { line: 'email-alerts test-email' },
    { line: 'email-alerts disable' },
    { line: 'email-alerts clear-config' },
    { line: 'email-alerts clear-config --yes' },
  ],
  schedule: [
    { line: 'schedule show' },
    { line: 'schedule add --day weekdays --cleaner --start 22:00 --stop 4:00' },
    { line: 'schedule add --day weekdays --start 22:00 --stop 4:00' },
    { line: 'schedule add --day never --cleaner --start 22:00 --stop 4:00' },
    { line: 'schedule add --day sunday --scan --start 6:00 --stop 18:00' },
    { line: 'schedule show' },
    { line: 'schedule delete one' },
    { line: 'schedule delete 1' },
  ],
  jobs: [
    { line: 'jobs show' },
    { line: 'jobs watch 1' },
    { line: 'maintenance reclaim-space' },
    { line: 'jobs show' },
    { line: 'jobs watch 1' },
  ],
  maintenance: [
    { line: 'maintenance reclaim-space' },
    { line: 'maintenance reclaim-space --wait' },
    { line: 'maintenance reclaim-space --dry-run' },
    { line: 'maintenance reclaim-space --dry-run --wait' },
    { line: 'maintenance stop-reclaim-space' },
    { line: 'maintenance trash' },
    { line: 'maintenance empty-trash --dry-run' },
    { line: 'maintenance undo-free' },
    { line: 'maintenance empty-trash --yes' },
    { line: 'maintenance hold on' },
    { line: 'maintenance hold' },
    { line: 'maintenance hold off' },
    { line: 'maintenance hold perhaps' },
    { line: 'maintenance rebuild-index' },
    { line: 'maintenance rebuild-index --group DefaultGroup --dry-run --wait' },
    { line: 'maintenance scan' },
    { line: 'maintenance scan --data --wait' },
    { line: 'maintenance scan --group nobody' },
    { line: 'maintenance scan-status' },
    { line: 'maintenance scan-report' },
    { line: 'maintenance stop-scan' },
    { line: 'maintenance repair' },
    { line: 'maintenance repair --dry-run' },
    { line: 'maintenance repair --wait' },
    { line: 'maintenance repair --dry-run --wait' },
    { line: 'maintenance repair-history' },
    { line: 'maintenance clear-quarantine --dry-run' },
    { line: 'maintenance clear-quarantine' },
    { line: 'maintenance clear-quarantine --delete-files --yes' },
    { line: 'maintenance diagnostics collect' },
    { line: 'maintenance diagnostics show' },
    { line: 'maintenance diagnostics delete coffer-2026.tar.gz' },
    { line: 'maintenance diagnostics delete coffer-2026.tar.gz --yes' },
  ],
  mistakes: [
    { line: 'contianer add x' },
    { line: 'container ad x' },
    { line: 'container' },
    { line: 'container add' },
    { line: 'container add x y' },
    { line: 'container add x --grup g' },
    { line: 'container add x --group' },
    { line: 'bogus' },
    { line: 'status --bogus' },
  ],
  // The spelling of QoreStor's command line.
  qorestor: [
    { line: 'container --add --name backups' },
    { line: 'storage_group --show --name DefaultGroup' },
    { line: 'system --show' },
    { line: 'maintenance --stop_reclaim_space' },
    { line: 'maintenance --undo_free --dry_run' },
    { line: 'maintenance --empty_trash --yes' },
    { line: 'maintenance --scan_status' },
    { line: 'stats --cleaner' },
    { line: 'schedule --show' },
    { line: 'alerts --show --summary' },
  ],
}
