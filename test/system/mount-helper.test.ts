// mount(8) finds scripts/mount.coffer: here it is called as mount(8) calls it.

import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'tap'
import { MountedCoffer, mountSkipReason } from '../helpers/mounted.ts'

const HELPER = resolve(import.meta.dirname, '../../../scripts/mount.coffer')
const run = promisify(execFile)

test('mount -t coffer', { skip: mountSkipReason }, async t => {
  const coffer = new MountedCoffer()
  t.teardown(() => coffer.remove())
  const { store, mount, socket } = coffer
  const options = `rw,noauto,user,nosuid,nodev,allow_other,socket=${socket}`
  await run(HELPER, [store, mount, '-o', options])
  const mounts = await readFile('/proc/self/mountinfo', 'utf8')
  const line = mounts.split('\n').find(each => each.includes(` ${mount} `))
  t.match(line, /fuse\.coffer .*allow_other/)
  await t.rejects(run(HELPER, [store, mount, '-o', `socket=${socket}`]), { code: 32 })
  await t.rejects(run(HELPER, [store, mount, '-o', 'sideways']), { code: 1, stderr: /sideways/ })
  await run('umount', [mount])
  await run(HELPER, [store, mount, '-f', '-o', options])
})
