// The control methods of storage groups.

import type { ControlTarget } from '../control/index.ts'
import { CryptoError } from '../crypto/index.ts'
import { CofferError } from '../errors.ts'
import type { ControlViews } from './control-views.ts'
import type { Storage } from './storage.ts'
import type { StorageGroup } from './storage-groups.ts'

export interface GroupMethodsOptions {
  readonly storage: Storage
  /** the smallest quota that may be set */
  readonly quotaBytesMin: number
}

type GroupMethods = Pick<ControlTarget, Extract<keyof ControlTarget, `storageGroup.${string}`>>

const NOTHING = {}

export function groupMethods(options: GroupMethodsOptions, views: ControlViews): GroupMethods {
  const { storage } = options
  const { groups } = storage
  return {
    ...encryptionMethods(storage, views),
    'storageGroup.show': async ({ name }) => ({
      groups: (name === undefined ? groups.list() : [groups.named(name)]).map(each =>
        views.group(each),
      ),
    }),
    'storageGroup.add': async ({ name, compression, chunkSizeBytes, quotaBytes }) => {
      checkQuota(options, quotaBytes, undefined)
      const group = groups.add(name, compression, chunkSizeBytes)
      if (quotaBytes !== null) groups.update(name, { quotaBytes })
      storage.alerting.events.record('GROUP_ADDED', 'info', `Storage group ${name} was added.`)
      await storage.metadata.commit()
      return views.group(groups.byId(group.id))
    },
    'storageGroup.update': async ({ name, compression, quotaBytes }) => {
      if (quotaBytes !== undefined) checkQuota(options, quotaBytes, groups.named(name))
      const group = groups.update(name, {
        ...(compression !== undefined && { compression }),
        ...(quotaBytes !== undefined && { quotaBytes: quotaBytes ?? 0 }),
      })
      storage.alerting.events.record('GROUP_CHANGED', 'info', `Storage group ${name} was changed.`)
      await storage.metadata.commit()
      return views.group(group)
    },
    'storageGroup.delete': async ({ name }) => {
      const group = groups.named(name)
      if (storage.vfs.containers().some(container => container.group === group.id)) {
        throw new CofferError(
          'GROUP_IN_USE',
          `The storage group ${name} has containers; delete them first.`,
        )
      }
      if (physicalBytesOf(storage, group.id) > 0) {
        // The cleaner leaves the data of a locked group alone.
        const first = storage.encryption.isLocked(group.id)
          ? `first coffer storage-group unlock ${name}, then`
          : 'run:'
        throw new CofferError(
          'GROUP_IN_USE',
          `The storage group ${name} still has data of deleted files; ${first} coffer maintenance reclaim-space --group ${name} --wait`,
        )
      }
      groups.delete(name)
      storage.encryption.groupDeleted(group.id)
      storage.alerts.endOf('group', name)
      storage.alerting.events.record('GROUP_DELETED', 'info', `Storage group ${name} was deleted.`)
      await storage.metadata.commit()
      await storage.encryption.eraseDeleted()
      return NOTHING
    },
  }
}

function encryptionMethods(
  storage: Storage,
  views: ControlViews,
): Omit<GroupMethods, `storageGroup.${'show' | 'add' | 'update' | 'delete'}`> {
  const { groups, encryption } = storage
  const viewOf = ({ id }: StorageGroup) => views.group(groups.byId(id))
  return {
    'storageGroup.setPassphrase': async ({ name, current, next }) => {
      const group = groups.named(name)
      await withSecrets([current, next], async ([before, after]) => {
        if (after === undefined) throw new Error('a passphrase is set to something')
        await encryption.setPassphrase(group, before, after)
      })
      return NOTHING
    },
    'storageGroup.encryption': async ({ name, set, mode, intervalDays }) => {
      const group = groups.named(name)
      if (set !== undefined || mode !== undefined || intervalDays !== undefined) {
        await encryption.set(group, {
          ...(set !== undefined && { isOn: set === 'on' }),
          ...(mode !== undefined && { mode }),
          ...(intervalDays !== undefined && { intervalDays }),
        })
      }
      return viewOf(group)
    },
    'storageGroup.unlock': async ({ name, passphrase }) => {
      const group = groups.named(name)
      await withSecrets([passphrase], async ([secret]) => {
        if (secret !== undefined) await encryption.unlock(group, secret)
      })
      return viewOf(group)
    },
    'storageGroup.lock': async ({ name }) => {
      const group = groups.named(name)
      await encryption.lock(group)
      return viewOf(group)
    },
    'storageGroup.keys': async ({ name }) => views.keys(groups.named(name)),
    'storageGroup.rotateKey': async ({ name }) => {
      const group = groups.named(name)
      await encryption.rotate(group)
      return viewOf(group)
    },
  }
}

/** Passphrases as bytes that are wiped afterwards. What JSON made of them before is out of our hands. */
async function withSecrets(
  texts: readonly (string | undefined)[],
  use: (secrets: (Buffer | undefined)[]) => Promise<void>,
): Promise<void> {
  const secrets = texts.map(text => (text === undefined ? undefined : Buffer.from(text)))
  try {
    for (const [index, secret] of secrets.entries()) {
      // JSON can hold half a surrogate pair, which UTF-8 can't.
      if (secret !== undefined && secret.toString() !== texts[index]) {
        throw new CryptoError('PASSPHRASE_ENCODING', 'A passphrase must be valid UTF-8.')
      }
    }
    await use(secrets)
  } finally {
    for (const secret of secrets) secret?.fill(0)
  }
}

/** @throws CofferError QUOTA_RANGE */
function checkQuota(
  { storage, quotaBytesMin }: GroupMethodsOptions,
  quotaBytes: number | null,
  group: StorageGroup | undefined,
): void {
  if (quotaBytes === null) return
  if (quotaBytes < quotaBytesMin) {
    throw new CofferError('QUOTA_RANGE', `A quota has at least ${quotaBytesMin} bytes.`)
  }
  const usedBytes = group === undefined ? 0 : physicalBytesOf(storage, group.id)
  if (quotaBytes < usedBytes) {
    throw new CofferError(
      'QUOTA_RANGE',
      `The group uses ${usedBytes} bytes already; its quota can't be lower.`,
    )
  }
}

function physicalBytesOf(storage: Storage, group: number): number {
  let bytes = 0
  for (const record of storage.blockRecords())
    if (record.group === group) bytes += record.lengthBytes
  return bytes
}
