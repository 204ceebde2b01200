// mount(8) finds what it needs: the helper scripts/mount.coffer, by itself, by mount -t and by a line in /etc/fstab.

import { execFile, execFileSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'tap'
import { MountedCoffer, mountSkipReason } from '../helpers/mounted.ts'

const HELPER = resolve(import.meta.dirname, '../../../scripts/mount.coffer')
const LAUNCHER = resolve(import.meta.dirname, '../../../scripts/coffer')
const run = promisify(execFile)

/** Debian's nobody */
const USER_ID = 65_534
const AS_USER = `setpriv --reuid=${USER_ID} --regid=${USER_ID} --clear-groups`

/** In a mount namespace of its own: mount(8)'s helpers are found in /sbin alone, and lines in /etc/fstab alone. */
const PREPARE = `
mkdir "$BASE/layer"
mount -t tmpfs tmpfs "$BASE/layer"
mkdir "$BASE/layer/upper" "$BASE/layer/work"
sbin=$(readlink -f /sbin)
mount -t overlay overlay -o "lowerdir=$sbin,upperdir=$BASE/layer/upper,workdir=$BASE/layer/work" "$sbin"
ln -s "$HELPER" "$sbin/mount.coffer"
mknod "$BASE/fuse" c 10 229
chmod 666 "$BASE/fuse"
mount --bind "$BASE/fuse" /dev/fuse
echo user_allow_other > "$BASE/fuse.conf"
mount --bind "$BASE/fuse.conf" /etc/fuse.conf
mount --bind "$BASE/fstab" /etc/fstab
`

const MOUNTS = `
mount -t coffer -o "socket=$BASE/own.sock,allow_other,create,keystore-backup=$BASE/kb" "$BASE/own" "$BASE/mnt"
grep -c " $BASE/mnt .*fuse.coffer.*allow_other" /proc/self/mountinfo
umount "$BASE/mnt"
${AS_USER} bash -euo pipefail -c 'mount "$HOME/mnt"
  grep -o " $HOME/mnt .*user_id=[0-9]*" /proc/self/mountinfo | grep -o "user_id=.*"
  umount "$HOME/mnt"
  while [[ -e $HOME/sock ]]; do sleep 0.1; done'
chown -R 0:0 "$HOME"
mount "$HOME/mnt"
grep -o " $HOME/mnt .*noexec" /proc/self/mountinfo | grep -o noexec
umount "$HOME/mnt"
`

function canPrepare(): boolean {
  try {
    execFileSync('unshare', ['-m', 'true'], { stdio: 'ignore' })
    execFileSync('bash', ['-c', `${AS_USER} test -r ${LAUNCHER}`], { stdio: 'ignore' })
    return existsSync('/etc/fuse.conf') && existsSync('/etc/fstab')
  } catch {
    return false
  }
}

const skipReason =
  mountSkipReason ||
  (canPrepare() ? false : 'needs a mount namespace, and a checkout that nobody may read')

test('mount -t coffer', { skip: mountSkipReason }, async t => {
  const coffer = new MountedCoffer()
  t.teardown(() => coffer.remove())
  const { store, mount, socket, keystoreBackup } = coffer
  const options = `keystore-backup=${keystoreBackup},rw,noauto,user,nosuid,nodev,allow_other,socket=${socket}`
  await t.rejects(run(HELPER, [store, mount, '-o', options]), { code: 32, message: /--create/ })
  await run(HELPER, [store, mount, '-o', `${options},create`])
  const mounts = await readFile('/proc/self/mountinfo', 'utf8')
  const line = mounts.split('\n').find(each => each.includes(` ${mount} `))
  t.match(line, /fuse\.coffer .*allow_other/)
  await t.rejects(run(HELPER, [store, mount, '-o', `socket=${socket}`]), { code: 32 })
  await t.rejects(run(HELPER, [store, mount, '-o', 'sideways']), { code: 1, stderr: /sideways/ })
  await run('umount', [mount])
  await run(HELPER, [store, mount, '-f', '-o', options])
})

test('mount(8) with the helper in its place', { skip: skipReason }, async t => {
  const base = mkdtempSync(join(tmpdir(), 'coffer-helper-'))
  // The daemon ends after the mount, and may still be putting its last files down.
  t.teardown(() => rm(base, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }))
  const home = join(base, 'home')
  chmodSync(base, 0o755)
  for (const folder of [home, join(base, 'mnt'), join(home, 'mnt')]) mkdirSync(folder)
  for (const folder of [home, join(home, 'mnt')]) chownSync(folder, USER_ID, USER_ID)
  const options = `noauto,user,allow_other,create,keystore-backup=${home}/kb,socket=${home}/sock`
  writeFileSync(join(base, 'fstab'), `${home}/store ${home}/mnt coffer ${options} 0 0\n`)
  const env = { ...process.env, BASE: base, HOME: home, HELPER }
  const script = `${PREPARE}${MOUNTS}`
  const { stdout } = await run('unshare', ['-m', 'bash', '-euo', 'pipefail', '-c', script], { env })
  t.same(stdout.split('\n'), ['1', `user_id=${USER_ID}`, 'noexec', ''])
})
