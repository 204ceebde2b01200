// Every kind of alert: how bad it is, what it is called, and what to do about it. One table, so that a code that is not
// in it doesn't compile; docs/alerts.md is checked against it.

export type Severity = 'info' | 'warning' | 'critical'

export interface AlertKind {
  readonly severity: Severity
  /** a few words: the subject of a mail */
  readonly title: string
  /** what to do, with the command to type */
  readonly whatToDo: string
}

function kind(severity: Severity, title: string, whatToDo: string): AlertKind {
  return { severity, title, whatToDo }
}

/** Codes are stable and never reused for another meaning. */
export const ALERT_KINDS = {
  SPACE_LOW: kind(
    'warning',
    'The disk of the store is filling up',
    'Free space with "coffer maintenance reclaim-space", delete old backups, or enlarge the disk.',
  ),
  SPACE_CRITICAL: kind(
    'critical',
    'The disk of the store is almost full',
    'Writes are about to be refused. Delete old backups, then "coffer maintenance reclaim-space", or enlarge the disk.',
  ),
  QUOTA_NEAR: kind(
    'warning',
    'A storage group is near its quota',
    'Raise it with "coffer storage-group update NAME --quota SIZE", or delete old backups and "coffer maintenance reclaim-space".',
  ),
  QUOTA_REACHED: kind(
    'critical',
    'A storage group has reached its quota',
    'New data is refused. Raise the quota with "coffer storage-group update NAME --quota SIZE", or delete old backups and "coffer maintenance reclaim-space".',
  ),
  GROUP_LOCKED: kind(
    'warning',
    'A storage group is locked',
    'Open it with "coffer storage-group unlock NAME".',
  ),
  UNLOCK_FAILED: kind(
    'warning',
    'A storage group was not unlocked at the start',
    'Open it with "coffer storage-group unlock NAME", and correct the file or --passphrase-file before the next start.',
  ),
  KEY_ROTATED: kind(
    'info',
    'A new encryption key is in use',
    'Nothing to do; see "coffer storage-group keys NAME".',
  ),
  KEY_ROTATION_OVERDUE: kind(
    'warning',
    'The rotation of an encryption key is overdue',
    'Unlock the group with "coffer storage-group unlock NAME", or rotate now with "coffer storage-group rotate-key NAME".',
  ),
  KEY_LIMIT_NEAR: kind(
    'warning',
    'A storage group has used almost all key numbers',
    'Let the cleaner retire old keys: "coffer maintenance reclaim-space --group NAME", or lengthen the interval.',
  ),
  KEY_LIMIT_REACHED: kind(
    'critical',
    'A storage group has no free key number',
    'The active key stays in use. "coffer maintenance scan --group NAME" and "coffer maintenance reclaim-space --group NAME" free numbers.',
  ),
  KEYSTORE_DAMAGED: kind(
    'critical',
    'A copy of a keystore is damaged or missing',
    'Check the disks of the store and of the keystore backup; without either copy the data can never be read.',
  ),
  KEYSTORE_DIFFERS: kind(
    'critical',
    'The two copies of a keystore differ',
    'Unlock the group with "coffer storage-group unlock NAME": that proves which copy counts, and nothing is overwritten before. If one was mixed up, put the right one back first.',
  ),
  KEYSTORE_ASIDE: kind(
    'critical',
    'A keystore that could not be proved was put aside',
    'If it belongs to another store, move it back there. Otherwise keep it until all data of the group has been read, then delete it.',
  ),
  KEYSTORE_NOT_ERASED: kind(
    'warning',
    'A replaced keystore could not be overwritten',
    'Check the disk of that place: "dmesg". The next unlock or change tries it again.',
  ),
  KEYSTORE_REPAIRED: kind(
    'warning',
    'A copy of a keystore was rewritten from the other one',
    'Find out what damaged it: check the disk with "dmesg" and "smartctl".',
  ),
  KEYSTORE_UNUSABLE: kind(
    'critical',
    'A keystore can not be used',
    'Put a good copy back into one of the two places, then "coffer storage-group unlock NAME".',
  ),
  KEY_ROTATION_FAILED: kind(
    'critical',
    'A key rotation failed',
    'The active key stays in use. Check the places of the keystore: "df", "dmesg"; try "coffer storage-group rotate-key NAME".',
  ),
  CLEANING_DEBT: kind(
    'warning',
    'The cleaner has not completed a pass for a week',
    'Run it with "coffer maintenance reclaim-space", or give it a window with "coffer schedule add".',
  ),
  PASS_FAILED: kind(
    'warning',
    'A pass of the cleaner failed',
    'See "coffer events show" for the reason, then "coffer maintenance reclaim-space".',
  ),
  DAMAGED_BLOCK: kind(
    'critical',
    'A block file is damaged',
    'Find out what is lost with "coffer maintenance scan --data --wait"; writing the same data again heals it. Check the disk.',
  ),
  DAMAGED_FILE: kind(
    'critical',
    'A file cannot be read whole',
    'Back the file up again, or restore it from another copy; "coffer maintenance scan-report" lists all damaged files.',
  ),
  DATA_LOST: kind(
    'critical',
    'Accepted data could not be stored',
    'Run the last backup again after looking at the reason; check space with "df" and the disk with "dmesg".',
  ),
  STORE_READ_ONLY: kind(
    'critical',
    'The store is read-only',
    'See the reason with "coffer alerts show". Damaged metadata: stop with "coffer stop", then "coffer recover --store DIR --dry-run". Otherwise check the disk ("dmesg"), then "coffer stop", "coffer start".',
  ),
  COMMIT_NOTE: kind(
    'warning',
    "The commit note can't be written",
    'Check the disk of the store: "dmesg", "df".',
  ),
  METADATA_COPY: kind(
    'warning',
    'The copy of the metadata is behind',
    'It is tried again by itself. Check the disk of the store: "dmesg", "df".',
  ),
  BACKGROUND_FAILURE: kind(
    'critical',
    'Work in the background failed',
    'See "coffer events show"; restart with "coffer stop" and "coffer start" to try it again.',
  ),
  STRAY_BLOCK_FILE: kind(
    'warning',
    'A block file has no record',
    'It was left alone. If you copied it there, move it away; otherwise run "coffer maintenance scan --wait".',
  ),
  UNCLEAN_SHUTDOWN: kind(
    'warning',
    'The daemon had not been stopped in order',
    'What was fsynced is there. Run again the backups that were under way; find the reason with "journalctl -k".',
  ),
  MAIL_FAILING: kind(
    'warning',
    "Mail can't be delivered",
    'Try "coffer email-alerts test-email" and correct the settings with "coffer email-alerts configure".',
  ),
  MASS_DELETE: kind(
    'critical',
    'A large share of the files of a container was deleted',
    'If nobody meant to, stop the clients, and "coffer maintenance hold on" before looking further: nothing is deleted for good meanwhile.',
  ),
  MAINTENANCE_HELD: kind(
    'info',
    'The cleaner and the trash are on hold',
    'When nothing is missing: "coffer maintenance hold off".',
  ),
  CLOCK_JUMPED_BACK: kind(
    'warning',
    "The machine's clock has jumped back",
    'Check the time service: "timedatectl", "chronyc tracking".',
  ),
  EVENT_LOOP_STALL: kind(
    'warning',
    'The daemon stood still for more than a second',
    'Check the load and the memory of the machine: "uptime", "free -m"; collect "coffer maintenance diagnostics collect" if it recurs.',
  ),
  METADATA_DAMAGED: kind(
    'critical',
    'The metadata database is damaged',
    'Stop the daemon with "coffer stop", then see what can be recovered with "coffer recover --store DIR --dry-run".',
  ),
  EVIDENCE_DISAGREES: kind(
    'critical',
    'Nothing was deleted: two records of what is in use disagree',
    'Find the difference with "coffer maintenance scan --wait", then run "coffer maintenance repair".',
  ),
  METRICS_UNAVAILABLE: kind(
    'warning',
    'The metrics endpoint could not be opened',
    'Free the port or the socket, or choose another with --metrics-port or --metrics-socket; then "coffer stop", "coffer start".',
  ),
  STORE_NEW: kind(
    'info',
    'A new store was created',
    'Nothing to do if that was intended. Otherwise check --store, and that the disk of the store is mounted.',
  ),
} as const satisfies Record<string, AlertKind>

export type AlertCode = keyof typeof ALERT_KINDS

export const ALERT_CODES = Object.keys(ALERT_KINDS).filter(isAlertCode)

export function isAlertCode(code: string): code is AlertCode {
  return Object.hasOwn(ALERT_KINDS, code)
}

/** What the subject of an alert names: a storage group or a container by its name, a file by its inode, a block file by its id. */
export type SubjectKind = 'group' | 'container' | 'file' | 'block'

/** Codes that aren't listed have no subject: there is only one alert of each. */
const SUBJECT_KINDS: Partial<Record<AlertCode, SubjectKind>> = {
  QUOTA_NEAR: 'group',
  QUOTA_REACHED: 'group',
  GROUP_LOCKED: 'group',
  UNLOCK_FAILED: 'group',
  KEY_ROTATED: 'group',
  KEY_ROTATION_OVERDUE: 'group',
  KEY_LIMIT_NEAR: 'group',
  KEY_LIMIT_REACHED: 'group',
  KEYSTORE_DAMAGED: 'group',
  KEYSTORE_DIFFERS: 'group',
  KEYSTORE_ASIDE: 'group',
  KEYSTORE_NOT_ERASED: 'group',
  KEYSTORE_REPAIRED: 'group',
  KEYSTORE_UNUSABLE: 'group',
  DAMAGED_BLOCK: 'block',
  DAMAGED_FILE: 'file',
  DATA_LOST: 'file',
  MASS_DELETE: 'container',
}

/** Codes whose alerts name such a thing. */
export function codesAbout(kind: SubjectKind): AlertCode[] {
  return ALERT_CODES.filter(code => SUBJECT_KINDS[code] === kind)
}

/**
 * Codes of one-time events: something happened, and no condition has to end. An acknowledgement removes their alerts. All
 * other codes stand for a condition, and their alerts stay until it ends.
 */
const FACTS: ReadonlySet<AlertCode> = new Set([
  'KEY_ROTATED',
  'KEYSTORE_REPAIRED',
  'KEYSTORE_ASIDE',
  'DATA_LOST',
  'BACKGROUND_FAILURE',
  'UNCLEAN_SHUTDOWN',
  'STORE_NEW',
])

export function isFact(code: AlertCode): boolean {
  return FACTS.has(code)
}
