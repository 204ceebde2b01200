// The control methods of the trash.

import type { ControlTarget } from '../control/index.ts'
import { plural } from '../plural.ts'
import { isoTime } from './control-views.ts'
import type { Storage } from './storage.ts'

type TrashMethods = Pick<
  ControlTarget,
  'maintenance.trash' | 'maintenance.emptyTrash' | 'maintenance.undoFree' | 'maintenance.hold'
>

const MS_PER_SECOND = 1000
const HOLD_TEXT = 'of "coffer maintenance hold": files are kept whatever their age.'

export function trashMethods(storage: Storage): TrashMethods {
  const { trash, groups, alerting, cleaner, hold, metadata } = storage
  const idOf = (name: string | undefined): number | undefined =>
    name === undefined ? undefined : groups.named(name).id
  const { events } = alerting
  return {
    'maintenance.trash': async () => {
      const { oldestSeconds, keepSeconds, keyRetirement, heldBecause } = trash
      return {
        ...trash.content,
        oldestAt:
          oldestSeconds === undefined
            ? null
            : new Date(oldestSeconds * MS_PER_SECOND).toISOString(),
        keepSeconds,
        keyRetirement,
        heldBecause: heldBecause ?? (hold.isHeld ? HOLD_TEXT : null),
      }
    },
    'maintenance.emptyTrash': async ({ group, dryRun }) => {
      const id = idOf(group)
      if (dryRun) return trash.contentOf(id)
      const { files, bytes } = await trash.empty(id)
      if (files > 0)
        events.record(
          'TRASH_EMPTIED',
          'info',
          `${plural(files, 'block file')} (${plural(bytes, 'byte')}) ${files === 1 ? 'was' : 'were'} deleted.`,
        )
      return { files, bytes }
    },
    'maintenance.hold': async ({ set }) => {
      if (set === 'on') await hold.begin(cleaner)
      if (set === 'off') hold.end()
      // It must not be forgotten by a crash.
      if (set !== undefined) await metadata.commit()
      const { isHeld, sinceSeconds } = hold.state
      return { isHeld, since: sinceSeconds === undefined ? null : isoTime(sinceSeconds) }
    },
    'maintenance.undoFree': async ({ group, dryRun }) => {
      const id = idOf(group)
      if (dryRun) return trash.contentOf(id)
      // A pass that runs would free them again at once.
      cleaner.checkFree()
      const { files, bytes } = await trash.undoFree(id)
      const text = `${plural(files, 'freed block file')} (${plural(bytes, 'byte')}) ${files === 1 ? 'is' : 'are'} part of the store again.`
      if (files > 0) events.record('FREEING_UNDONE', 'warning', text)
      return { files, bytes }
    },
  }
}
