// Accepts the spelling of QoreStor's command line: rewrites it into ours before yargs sees it. A pure
// function of one table; what is not in the table passes unchanged.

interface Verb {
  /** The words that replace family and verb. */
  to: readonly string[]
  /** QoreStor's options that are called otherwise here; all others only trade `_` for `-`. */
  options?: Readonly<Record<string, string>>
}

/** family -> verb -> our spelling. A family's `--name X` always becomes the positional. */
const verbs: Readonly<Record<string, Readonly<Record<string, Verb>>>> = {
  storage_group: {
    show: { to: ['storage-group', 'show'] },
    add: { to: ['storage-group', 'add'], options: { compression_mode: 'compression' } },
    update: { to: ['storage-group', 'update'], options: { compression_mode: 'compression' } },
    delete: { to: ['storage-group', 'delete'] },
    set_passphrase: { to: ['storage-group', 'set-passphrase'] },
    encryption: { to: ['storage-group', 'encryption'] },
    unlock: { to: ['storage-group', 'unlock'] },
    lock: { to: ['storage-group', 'lock'] },
    keys: { to: ['storage-group', 'keys'] },
    rotate_key: { to: ['storage-group', 'rotate-key'] },
  },
  container: {
    show: { to: ['container', 'show'] },
    add: { to: ['container', 'add'], options: { group_name: 'group' } },
    delete: { to: ['container', 'delete'] },
  },
  stats: {
    system: { to: ['stats', 'system'] },
    storage_group: { to: ['stats', 'storage-group'] },
    container: { to: ['stats', 'container'] },
    cleaner: { to: ['stats', 'cleaner'] },
    clients: { to: ['stats', 'clients'] },
  },
  schedule: {
    show: { to: ['schedule', 'show'] },
    add: { to: ['schedule', 'add'] },
    delete: { to: ['schedule', 'delete'] },
  },
  maintenance: {
    reclaim_space: { to: ['maintenance', 'reclaim-space'] },
    stop_reclaim_space: { to: ['maintenance', 'stop-reclaim-space'] },
    empty_trash: { to: ['maintenance', 'empty-trash'] },
    undo_free: { to: ['maintenance', 'undo-free'] },
    rebuild_index: { to: ['maintenance', 'rebuild-index'] },
    scan: { to: ['maintenance', 'scan'] },
    scan_status: { to: ['maintenance', 'scan-status'] },
    scan_report: { to: ['maintenance', 'scan-report'] },
    stop_scan: { to: ['maintenance', 'stop-scan'] },
    repair: { to: ['maintenance', 'repair'] },
    repair_history: { to: ['maintenance', 'repair-history'] },
    clear_quarantine: { to: ['maintenance', 'clear-quarantine'] },
  },
  system: { show: { to: ['status'] } },
  alerts: {
    show: { to: ['alerts', 'show'] },
    acknowledge: { to: ['alerts', 'acknowledge'] },
  },
  events: { show: { to: ['events', 'show'] } },
  email_alerts: {
    configure: { to: ['email-alerts', 'configure'] },
    enable: { to: ['email-alerts', 'enable'] },
    disable: { to: ['email-alerts', 'disable'] },
    status: { to: ['email-alerts', 'status'] },
    test_email: { to: ['email-alerts', 'test-email'] },
    clear_config: { to: ['email-alerts', 'clear-config'] },
  },
}

/** Rewrite QoreStor's spelling; anything else is returned as it is. */
export function rewriteArgv(args: readonly string[]): string[] {
  const [family, ...rest] = args
  if (family === undefined || !Object.hasOwn(verbs, family)) return [...args]
  // Ours: `container add x`. Only the family's spelling may be QoreStor's.
  if (rest[0]?.startsWith('--') !== true) return [family.replaceAll('_', '-'), ...rest]

  const table = verbs[family] ?? {}
  const at = rest.findIndex(word => word.startsWith('--') && Object.hasOwn(table, word.slice(2)))
  const verb = table[rest[at]?.slice(2) ?? '']
  if (verb === undefined) return [family.replaceAll('_', '-'), ...rest]
  return [...verb.to, ...rewriteOptions(rest.toSpliced(at, 1), verb.options ?? {})]
}

/** Rename options; the value of `--name` moves to the front, where the positional is expected. */
function rewriteOptions(words: string[], renamed: Readonly<Record<string, string>>): string[] {
  const positionals: string[] = []
  const others: string[] = []
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? ''
    if (word === '--') return [...positionals, ...others, ...words.slice(index)]
    const [, option, value] = /^--([^=]+)(=.*)?$/s.exec(word) ?? []
    const next = words[index + 1]
    if (option === undefined) {
      others.push(word)
    } else if (option !== 'name') {
      const own = Object.hasOwn(renamed, option) ? renamed[option] : undefined
      others.push(`--${own ?? option.replaceAll('_', '-')}${value ?? ''}`)
    } else if (value !== undefined) {
      positionals.push(value.slice(1))
    } else if (next !== undefined && !next.startsWith('--')) {
      positionals.push(next)
      index += 1
    } else {
      // A name without a value: yargs complains of the unknown option, which tells what is wrong.
      others.push(word)
    }
  }
  return [...positionals, ...others]
}
