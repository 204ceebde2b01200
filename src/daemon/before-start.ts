// What a start is refused for before anything is made or opened: places that don't go together, and a store that is
// missing where there was one, or where none was asked for.

import { resolve } from 'node:path'
import { StoreError } from '../errors.ts'
import type { CreationMode, DaemonOptions } from './contract.ts'
import { checkNoCopy } from './copied-store.ts'
import { checkPlaces, resolvePath } from './places.ts'
import { defaultKeystoreBackup } from './start-keys.ts'
import { refuseRemains, storeStateOf, type StoreState } from './store-state.ts'
import { findHints, type StoreHints } from './store-hints.ts'
import { StoreRegistry, type KnownStore } from './store-registry.ts'

export interface Findings {
  readonly path: string
  readonly state: StoreState
  readonly known: KnownStore | undefined
  readonly hints: StoreHints
}

/**
 * Makes nothing.
 * @returns whether a new store is to be made, or one whose creation was cut off is to be finished
 * @throws CofferError MOUNT_POINT, KEYSTORE_BACKUP_PLACE, SOCKET_PLACE
 * @throws StoreError STORE_MISSING, NOT_A_STORE, STORE_IS_A_COPY
 */
export async function checkBeforeStart(
  options: DaemonOptions,
  mode: CreationMode,
): Promise<boolean> {
  const keystoreBackup = options.keystoreBackup ?? defaultKeystoreBackup()
  await checkPlaces(options, keystoreBackup)
  const path = options.store
  const state = await storeStateOf(path)
  const registry = new StoreRegistry(keystoreBackup)
  if (state === 'store') {
    await checkNoCopy(path, registry, options.copyAnswer ?? 'ask')
    return false
  }
  if (state === 'headless') refuseRemains(path, state)
  const known = await registry.find(path)
  const hints = await findHints([resolve(path), await resolvePath(path)])
  const refusal = findRefusal({ path, state, known, hints }, mode)
  if (refusal !== undefined) throw refusal
  refuseRemains(path, state)
  return true
}

/** Why no store may be made in a path that has none; undefined when it may. */
export function findRefusal(findings: Findings, mode: CreationMode): StoreError | undefined {
  const { path, state, known, hints } = findings
  if (known !== undefined) {
    const since = known.firstSeen === undefined ? '' : ` (first seen ${known.firstSeen})`
    return new StoreError(
      'STORE_MISSING',
      `${path} was a store before${since}; its disk is probably not mounted. ` +
        `If it is really gone, remove ${known.file}, then start again with --create.`,
    )
  }
  if (hints.unmounted !== undefined) {
    return new StoreError(
      'STORE_MISSING',
      `${path} holds no store, and nothing is mounted on ${hints.unmounted}, which is in /etc/fstab. ` +
        'Mount it, then start again.',
    )
  }
  // FORMAT is there and nothing else: the creation was asked for, and is finished.
  if (mode === 'create' || state === 'begun') return undefined
  if (mode === 'never') {
    return new StoreError(
      'NOT_A_STORE',
      `${path} is no coffer store. Mount its disk, or make a new store with --create.`,
    )
  }
  if (hints.namedBy === undefined) return undefined
  return new StoreError(
    'NOT_A_STORE',
    `${path} is no coffer store, but ${hints.namedBy} names it as one. ` +
      'Mount its disk, or make a new store with --create.',
  )
}
