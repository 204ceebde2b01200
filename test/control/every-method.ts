// Calls every method of the control socket in an order that makes sense to a daemon without data, and holds each
// answer against the method table.

import type { ControlClient } from '../../src/control/client.ts'
import { methods } from '../../src/control/methods.ts'
import type { MethodInput, MethodName, MethodResult } from '../../src/control/methods.ts'
import { rpcErrorCodes } from '../../src/control/protocol.ts'

type Call = <M extends MethodName>(
  method: M,
  params: MethodInput<M>,
) => Promise<MethodResult<M> | undefined>

/**
 * The methods that were called. The daemon is told to stop at the end.
 * @throws ControlCallError when one fails for another reason than its own; ZodError when its result is not as promised
 */
export async function callEveryMethod(client: ControlClient): Promise<Set<MethodName>> {
  const called = new Set<MethodName>()
  const call: Call = async (method, params) => {
    called.add(method)
    const result = await client.call(method, params)
    methods[method].result.parse(result)
    return result
  }
  await call('rpc.discover', {})
  await call('system.status', {})
  await callOfGroups(call)
  await callOfContainers(call)
  await callOfMaintenance(call)
  await callOfAlerts(call)
  await call('storageGroup.delete', { name: 'office' })
  await call('daemon.stop', {})
  return called
}

async function callOfGroups(call: Call): Promise<void> {
  const name = 'office'
  const passphrase = 'a passphrase that is long enough'
  await call('storageGroup.add', { name })
  await call('storageGroup.update', { name, compression: 'best' })
  await call('storageGroup.setPassphrase', { name, next: passphrase })
  await call('storageGroup.encryption', { name, set: 'on', mode: 'internal', intervalDays: 30 })
  await call('storageGroup.rotateKey', { name })
  await call('storageGroup.keys', { name })
  await call('storageGroup.lock', { name })
  await call('storageGroup.unlock', { name, passphrase })
  await call('storageGroup.show', {})
  await call('stats.storageGroup', { name })
}

async function callOfContainers(call: Call): Promise<void> {
  await call('container.add', { name: 'old' })
  await call('container.rename', { name: 'old', newName: 'new' })
  await call('container.show', {})
  await call('stats.container', { name: 'new' })
  await call('stats.system', {})
  await call('stats.prometheus', {})
  await call('container.delete', { name: 'new' })
}

async function callOfMaintenance(call: Call): Promise<void> {
  await call('maintenance.planReclaimSpace', {})
  const pass = await call('maintenance.reclaimSpace', { wait: true })
  await call('jobs.watch', { id: pass?.job ?? 0 })
  await call('jobs.list', {})
  await call('maintenance.stopReclaimSpace', {})
  await call('maintenance.trash', {})
  await call('maintenance.emptyTrash', { dryRun: true })
  await call('maintenance.emptyTrash', {})
  await call('maintenance.undoFree', { group: 'DefaultGroup' })
  await call('maintenance.hold', { set: 'on' })
  await call('maintenance.hold', {})
  await call('maintenance.hold', { set: 'off' })
  const rebuild = await call('maintenance.rebuildIndex', {})
  await call('jobs.watch', { id: rebuild?.job ?? 0 })
  const scan = await call('maintenance.scan', { data: true })
  await call('jobs.watch', { id: scan?.job ?? 0 })
  await call('maintenance.scanStatus', {})
  await call('maintenance.scanReport', {})
  await call('maintenance.planRepair', {})
  await call('maintenance.repair', { wait: true })
  await call('maintenance.repairHistory', {})
  await call('maintenance.clearQuarantine', { deleteFiles: true })
  await call('maintenance.stopScan', {})
  await call('stats.cleaner', {})
  await call('stats.clients', {})
  const window = await call('schedule.add', { day: 'daily', start: '01:00', stop: '02:00' })
  await call('schedule.show', {})
  await call('schedule.delete', { id: window?.id ?? 0 })
}

async function callOfAlerts(call: Call): Promise<void> {
  await call('alerts.show', {})
  // A daemon without data has none.
  await call('alerts.acknowledge', { code: 'DATA_LOST', subject: '1' }).catch(ignoreDomainError)
  await call('events.show', {})
  const sender = 'coffer@example.com'
  // A port on which nobody listens.
  const relay = { relay: '127.0.0.1', port: 1, senderName: 'Coffer', sender }
  await call('emailAlerts.configure', { ...relay, to: ['admin@example.com'] })
  await call('emailAlerts.enable', {})
  await call('emailAlerts.status', {})
  await call('emailAlerts.testEmail', {}).catch(ignoreDomainError)
  await call('emailAlerts.disable', {})
  await call('emailAlerts.clearConfig', {})
  const bundle = await call('diagnostics.collect', {})
  await call('diagnostics.show', {})
  await call('diagnostics.delete', { name: bundle?.name ?? '' })
}

/** Refused for a reason of the method's own, so not because of its parameters or its result. */
function ignoreDomainError(error: unknown): undefined {
  const isDomain =
    error instanceof Error && 'rpcCode' in error && error.rpcCode === rpcErrorCodes.domain
  if (!isDomain) throw error
}
