// A normal user's daemon, mounted through fusermount3. In a mount namespace of its own, where /dev/fuse may be opened by
// everybody whatever it is like outside, and /etc/fuse.conf says nothing.

import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'tap'
import { mountSkipReason, tool } from '../helpers/mounted.ts'

/** Tests run compiled, from dist/test/system/. */
const LAUNCHER = resolve(import.meta.dirname, '../../../scripts/coffer')
/** Debian's nobody */
const USER_ID = 65_534
const SETPRIV = [`--reuid=${USER_ID}`, `--regid=${USER_ID}`, '--clear-groups']

const OUTER = `
mknod "$BASE/fuse" c 10 229
chmod 666 "$BASE/fuse"
mount --bind "$BASE/fuse" /dev/fuse
: > "$BASE/fuse.conf"
if [[ -e /etc/fuse.conf ]]; then mount --bind "$BASE/fuse.conf" /etc/fuse.conf; fi
exec setpriv ${SETPRIV.join(' ')} bash -euo pipefail "$BASE/inner"
`

const INNER = `
cd "$HOME"
start() { "$LAUNCHER" start --store store --mount mnt "$@"; }
trap '"$LAUNCHER" stop --force --yes >/dev/null 2>&1 || true' EXIT
mkdir mnt
if start --allow-other 2>refusal; then echo 'allow_other was not refused'; fi
cat refusal
start >/dev/null
"$LAUNCHER" container add c >/dev/null
head -c 3000000 /dev/urandom > data
cp data mnt/c/data
sync mnt/c/data
grep -o "$HOME/mnt .*fuse.coffer.*user_id=[0-9]*" /proc/self/mountinfo | grep -o 'user_id=.*'
cmp data mnt/c/data
"$LAUNCHER" stop >/dev/null
if [[ -e mnt/c ]]; then echo 'still mounted'; fi
start >/dev/null
cmp data mnt/c/data
stat -c '%U %a' mnt/c/data
"$LAUNCHER" stop >/dev/null
`

function skipReason(): string | false {
  if (mountSkipReason !== false) return mountSkipReason
  try {
    execFileSync('unshare', ['-m', 'true'], { stdio: 'ignore' })
  } catch {
    return 'a mount namespace of its own is not allowed here'
  }
  try {
    execFileSync('setpriv', [...SETPRIV, 'test', '-r', LAUNCHER], { stdio: 'ignore' })
  } catch {
    return 'nobody may not read this checkout'
  }
  return existsSync('/usr/bin/fusermount3') ? false : 'fusermount3 is missing'
}

test('a normal user mounts, writes, restarts and stops', { skip: skipReason() }, async t => {
  const base = mkdtempSync(join(tmpdir(), 'coffer-user-'))
  t.teardown(() => rm(base, { recursive: true, force: true }))
  const home = join(base, 'home')
  mkdirSync(home)
  chmodSync(base, 0o755)
  chownSync(home, USER_ID, USER_ID)
  writeFileSync(join(base, 'inner'), INNER)
  const variables = [
    `BASE=${base}`,
    `HOME=${home}`,
    `LAUNCHER=${LAUNCHER}`,
    `COFFER_SOCKET=${home}/sock`,
  ]
  const told = await tool(
    'env',
    '-u',
    'NODE_OPTIONS',
    ...variables,
    'unshare',
    '-m',
    'bash',
    '-euo',
    'pipefail',
    '-c',
    OUTER,
  )
  t.same(told.split('\n'), [
    'coffer: Only root may use --allow-other: write the line `user_allow_other` into /etc/fuse.conf, or start without it.',
    `user_id=${USER_ID}`,
    'nobody 644',
    '',
  ])
})
