import t from 'tap'

import { QuotaGuard } from '../../src/daemon/quota-guard.ts'
import { StorageGroups } from '../../src/daemon/storage-groups.ts'

const MEBIBYTE = 2 ** 20

function record(group: number, lengthBytes: number) {
  return {
    block: 1,
    group,
    keyId: 0,
    isClosed: true,
    compression: 'fast' as const,
    lengthBytes,
    regionCount: 1,
    chunkCount: 1,
    rawBytes: lengthBytes,
    compressedBytes: lengthBytes,
    quarantine: null,
    freedSeconds: null,
  }
}

function guardOf(usedBytes: number, quotaBytes: number) {
  const groups = new StorageGroups()
  const { id } = groups.add('g', 'fast')
  groups.update('g', { quotaBytes })
  const state = { usedBytes, unflushedBytes: 0, nowMs: 0 }
  const guard = new QuotaGuard({
    groups,
    records: () => [record(id, state.usedBytes), record(id + 1, 2 ** 40)],
    unflushedBytes: () => state.unflushedBytes,
    nowMs: () => state.nowMs,
  })
  return { guard, id, state }
}

t.test('a quota counts block files, what is on its way and what was just accepted', t => {
  const { guard, id, state } = guardOf(5 * MEBIBYTE, 10 * MEBIBYTE)
  guard.reserve(id, 4 * MEBIBYTE)
  t.throws(() => guard.reserve(id, 2 * MEBIBYTE), { code: 'EDQUOT' })
  guard.reserve(id, MEBIBYTE)
  state.nowMs += 1000
  state.unflushedBytes = 3 * MEBIBYTE
  t.throws(() => guard.reserve(id, 3 * MEBIBYTE), { code: 'EDQUOT' }, 'looked again')
  guard.reserve(id, 2 * MEBIBYTE)
  state.nowMs += 1000
  state.usedBytes = MEBIBYTE
  state.unflushedBytes = 0
  guard.reserve(id, 9 * MEBIBYTE)
  t.end()
})

t.test('no quota, no limit', t => {
  const { guard, id } = guardOf(2 ** 45, 0)
  t.doesNotThrow(() => guard.reserve(id, 2 ** 45))
  t.end()
})

t.test('alerts come and go with the level', t => {
  const { guard, state } = guardOf(5 * MEBIBYTE, 10 * MEBIBYTE)
  const raised = new Set<string>()
  const board = {
    raise: (code: string) => void raised.add(code),
    clear: (code: string) => void raised.delete(code),
  }
  const levelAt = (usedBytes: number): string[] => {
    state.usedBytes = usedBytes
    guard.report(board)
    return [...raised]
  }
  t.same(levelAt(5 * MEBIBYTE), [])
  t.same(levelAt(9.5 * MEBIBYTE), ['QUOTA_NEAR'])
  t.same(levelAt(10 * MEBIBYTE), ['QUOTA_REACHED'])
  t.same(levelAt(9.5 * MEBIBYTE), ['QUOTA_NEAR'])
  t.same(levelAt(MEBIBYTE), [])
  t.end()
})
