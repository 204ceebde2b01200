// QoreStor's spelling, verb by verb; then sizes, durations, tables.

import t from 'tap'

import { rewriteArgv } from '../../src/cli/argv.ts'
import { formatDuration, formatPairs, formatTable, printableLines } from '../../src/cli/format.ts'
import { joinRepeated, splitRepeated } from '../../src/cli/repeated-options.ts'
import { formatSize, parseSize } from '../../src/cli/sizes.ts'

const rewrites: [from: string, to: string][] = [
  ['storage_group --show', 'storage-group show'],
  ['storage_group --show --name backups', 'storage-group show backups'],
  ['storage_group --show --json', 'storage-group show --json'],
  [
    'storage_group --add --name backups --compression_mode best',
    'storage-group add backups --compression best',
  ],
  [
    'storage_group --name=backups --add --compression_mode=none',
    'storage-group add backups --compression=none',
  ],
  ['storage_group --add --name b --chunk_size 64KiB', 'storage-group add b --chunk-size 64KiB'],
  ['container --show', 'container show'],
  ['container --show --name X', 'container show X'],
  ['container --add --name X --group_name G', 'container add X --group G'],
  ['container --group_name=G --add --name=X', 'container add X --group=G'],
  ['container --delete --name X', 'container delete X'],
  ['container --delete --name X --delete_files --yes', 'container delete X --delete-files --yes'],
  ['stats --system', 'stats system'],
  ['stats --storage_group --name X', 'stats storage-group X'],
  ['stats --container --name X', 'stats container X'],
  ['system --show', 'status'],
  ['alerts --show', 'alerts show'],
  ['alerts --acknowledge --name DATA_LOST', 'alerts acknowledge DATA_LOST'],
  ['alerts --acknowledge DATA_LOST 7 --note N', 'alerts acknowledge DATA_LOST 7 --note N'],
  ['storage_group show', 'storage-group show'],
  // What is ours, or nobody's, passes unchanged.
  ['container add --add', 'container add --add'],
  ['container add x --group G_1', 'container add x --group G_1'],
  ['container --help', 'container --help'],
  ['container --toString', 'container --toString'],
  ['toString --add', 'toString --add'],
  ['status --json', 'status --json'],
  ['--version', '--version'],
  // A value is never renamed, a missing one never invented.
  ['container --add --name my_x --group_name my_g', 'container add my_x --group my_g'],
  ['container --add --name', 'container add --name'],
  ['container --add --name --group_name G', 'container add --name --group G'],
  ['container --add --name X -- --name Y', 'container add X -- --name Y'],
]

t.test('rewriteArgv', async t => {
  for (const [from, to] of rewrites) t.strictSame(rewriteArgv(from.split(' ')), to.split(' '), from)
  t.strictSame(rewriteArgv([]), [])
  t.strictSame(rewriteArgv(['container', '--add', '--name', 'a b']), ['container', 'add', 'a b'])
})

t.test('parseSize', async t => {
  const sizes: [text: string, bytes: number][] = [
    ['0', 0],
    ['4096', 4096],
    ['1B', 1],
    ['64KiB', 65_536],
    ['64 kib', 65_536],
    ['100GiB', 100 * 1024 ** 3],
    ['1TB', 1e12],
    ['1.5 MiB', 1_572_864],
    ['1kB', 1000],
  ]
  for (const [text, bytes] of sizes) t.equal(parseSize(text), bytes, text)
  const wrong = [
    '',
    'GiB',
    '-1',
    '1 XB',
    '1K',
    '10G',
    '1e9',
    '0x10',
    '1.5',
    '1,5GiB',
    '1GiB/s',
    '99PiB',
  ]
  for (const text of wrong) t.throws(() => parseSize(text), { code: 'USAGE' }, JSON.stringify(text))
})

t.test('formatSize', async t => {
  t.equal(formatSize(0), '0 B')
  t.equal(formatSize(1023), '1023 B')
  t.equal(formatSize(1024), '1.00 KiB')
  t.equal(formatSize(1024 ** 2 - 1), '1.00 MiB', 'never 1024.00 KiB')
  t.equal(formatSize(1.5 * 1024 ** 4), '1.50 TiB')
  t.equal(formatSize(5000 * 1024 ** 5), '5000.00 PiB')
})

t.test('layout', async t => {
  t.equal(formatDuration(0), '0s')
  t.equal(formatDuration(59.9), '59s')
  t.equal(formatDuration(3600), '1h 00m 00s')
  t.equal(formatDuration(93_784), '1d 02h 03m 04s')
  t.equal(
    formatPairs([
      ['A', 1],
      ['Long', 'x'],
    ]),
    'A    : 1\nLong : x\n',
  )
  t.equal(
    formatTable(
      ['N', 'Size'],
      [
        ['abc', 5],
        ['d', 100],
      ],
    ),
    'N    Size\nabc     5\nd     100\n',
  )
  t.equal(formatTable(['N'], []), 'N\n')
  t.equal(formatPairs([['A', 'x\u001b[31m\n']]), 'A : x\\x1b[31m\\n\n', 'no control characters')
  t.equal(formatTable(['A'], [['\u0085\u2028\u202e\t']]), 'A\n\\x85\\u2028\\u202e\\t\n')
  t.equal(printableLines('a\r\nb\u0007\n'), 'a\\r\nb\\x07\n', 'lines stay lines')
})

t.test('recipients add up', async t => {
  t.strictSame(
    joinRepeated('email-alerts configure --to a@x --cc=c@x --to=b@x --port 1'.split(' ')),
    ['email-alerts', 'configure', '--port', '1', '--to=a@x,b@x', '--cc=c@x'],
  )
  t.strictSame(joinRepeated(['email-alerts', 'configure', '--to', '--cc']), [
    'email-alerts',
    'configure',
    '--to',
    '--cc',
  ])
})

t.test('passphrase files of a start add up', async t => {
  const line =
    'start --passphrase-file a=/x,y --store S --passphrase-file=b=/--to --require-unlocked'
  const joined = joinRepeated(line.split(' '))
  t.strictSame(joined.slice(0, 4), ['start', '--store', 'S', '--require-unlocked'])
  const [, values = ''] = /^--passphrase-file=(.*)$/s.exec(joined[4] ?? '') ?? []
  t.strictSame(splitRepeated(values), ['a=/x,y', 'b=/--to'])
  const other = 'storage-group unlock a --passphrase-file F --passphrase-file G'.split(' ')
  t.strictSame(joinRepeated(other), other, 'other commands have one passphrase')
})
