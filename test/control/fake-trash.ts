// The trash of the control target in memory.

import type { ControlTarget } from '../../src/control/index.ts'

const MIB = 1024 ** 2

export function fakeTrash(): Pick<
  ControlTarget,
  'maintenance.trash' | 'maintenance.emptyTrash' | 'maintenance.undoFree' | 'maintenance.hold'
> {
  let isHeld = false
  const content = { files: 2, bytes: 128 * MIB }
  return {
    'maintenance.trash': async () => ({
      ...content,
      oldestAt: content.files === 0 ? null : '2026-01-02T03:04:05.000Z',
      keepSeconds: 86_400,
      keyRetirement: 'wait',
      heldBecause: null,
    }),
    'maintenance.emptyTrash': async ({ dryRun }) => taken(dryRun),
    'maintenance.undoFree': async ({ dryRun }) => taken(dryRun),
    'maintenance.hold': async ({ set }) => {
      if (set !== undefined) isHeld = set === 'on'
      return { isHeld, since: isHeld ? '2026-01-02T03:04:05.000Z' : null }
    },
  }

  function taken(dryRun: boolean): { files: number; bytes: number } {
    const { files, bytes } = content
    if (!dryRun) Object.assign(content, { files: 0, bytes: 0 })
    return { files, bytes }
  }
}
