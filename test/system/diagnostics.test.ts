// Diagnostics bundles of a real daemon: what is in them, what never is.

import { stat } from 'node:fs/promises'
import t from 'tap'
import { mountSkipReason, startedCoffer, tool } from '../helpers/mounted.ts'

const CONTAINER = 'payroll-of-2031'

interface Bundle {
  name: string
  path: string
}

t.test('bundles hold the log and no names unless asked', { skip: mountSkipReason }, async t => {
  const coffer = await startedCoffer(t, CONTAINER)
  const verbs = ['maintenance', 'diagnostics'] as const
  const { path, name } = await coffer.json<Bundle>(...verbs, 'collect')
  const contents = await tool('tar', '-xzOf', path)
  t.match(contents, /"CONTAINER_ADDED"/)
  t.match(contents, /Container container-1 was added/)
  t.match(contents, /"level":"info".*"code":"DAEMON_STARTED"/, "the daemon's log is in it")
  t.match(contents, /"dedupePercent"/)
  t.notMatch(contents, CONTAINER)
  t.notMatch(contents, /fingerprintKey|cutConstants|nameHashKey/)
  t.equal((await stat(path)).mode & 0o077, 0, 'only for its owner')

  const named = await coffer.json<Bundle>(...verbs, 'collect', '--include-names')
  t.match(await tool('tar', '-xzOf', named.path), CONTAINER)
  await coffer.coffer(...verbs, 'delete', name, '--yes')
  t.match(await coffer.json(...verbs, 'show'), { bundles: [{ name: named.name }] })
  await t.rejects(coffer.coffer(...verbs, 'delete', name, '--yes'), { code: 1 })
  await t.rejects(coffer.coffer(...verbs, 'delete', '../FORMAT', '--yes'), { code: 2 })
})

t.test('names that containers had once are hidden too', { skip: mountSkipReason }, async t => {
  const coffer = await startedCoffer(t, CONTAINER, 'short-lived')
  await coffer.coffer('container', 'rename', CONTAINER, 'staff-of-2031')
  await coffer.coffer('container', 'delete', 'short-lived', '--yes')
  const { path } = await coffer.json<Bundle>('maintenance', 'diagnostics', 'collect')
  const contents = await tool('tar', '-xzOf', path)
  t.match(contents, /"Container container-\d was renamed to container-1\."/)
  t.match(contents, /"code":"CONTAINER_DELETED".*"msg":"Container container-\d was deleted\."/)
  for (const name of [CONTAINER, 'staff-of-2031', 'short-lived']) t.notMatch(contents, name)
})
