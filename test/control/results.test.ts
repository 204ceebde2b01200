// The typed client doesn't validate results, so here it is proved that they are what the method table promises: those
// of the target that other tests use, and those of a real daemon.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import t from 'tap'

import { connectControl } from '../../src/control/client.ts'
import { methods } from '../../src/control/methods.ts'
import { startControlServer } from '../../src/control/server.ts'
import { mountSkipReason, startedCoffer } from '../helpers/mounted.ts'
import { callEveryMethod } from './every-method.ts'
import { fakeTarget } from './fake-target.ts'

const all = Object.keys(methods).sort()

t.test('of the target in memory', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-control-'))
  const server = await startControlServer(join(folder, 'sock'), fakeTarget())
  const client = await connectControl(join(folder, 'sock'))
  t.teardown(async () => {
    client.close()
    await server.close()
    await rm(folder, { recursive: true })
  })
  t.strictSame([...(await callEveryMethod(client))].sort(), all)
})

t.test('of a daemon', { skip: mountSkipReason }, async t => {
  const coffer = await startedCoffer(t)
  const client = await connectControl(coffer.socket)
  t.teardown(async () => client.close())
  t.strictSame([...(await callEveryMethod(client))].sort(), all)
})
