import t from 'tap'

import {
  activeKey,
  applySettings,
  freeKeyCount,
  KEY_ID_MAX,
  needsReseal,
  nextKeyId,
  retire,
  rotate,
  rotationDueSeconds,
  type Keyring,
} from '../../src/crypto/keyring.ts'
import { deriveBlockKey } from '../helpers/test-exports.ts'

const DAY_SECONDS = 86_400

function secretOf(number: number): Uint8Array {
  const secret = new Uint8Array(32)
  new DataView(secret.buffer).setUint32(0, number)
  return secret
}

function change(nowSeconds: number, usedIds: Iterable<number> = [], number = 1) {
  return { nowSeconds, usedIds: new Set(usedIds), newSecret: () => secretOf(number) }
}

function decryptOnly(keyring: Keyring, usedIds: readonly number[]): Set<number> {
  const unused = keyring.keys.filter(({ id, state }) => {
    return state === 'decrypt-only' && !usedIds.includes(id)
  })
  return new Set(unused.map(({ id }) => id))
}

const EMPTY: Keyring = {
  isOn: false,
  mode: 'internal',
  intervalDays: 30,
  epoch: 0,
  keys: [],
  fingerprintKey: new Uint8Array(32),
  cutConstants: [1, 3],
}

t.test('turning encryption on makes the first key; the default is 30 days of internal mode', t => {
  const keyring = applySettings(EMPTY, { isOn: true }, change(1000))
  t.match(activeKey(keyring), { id: 1, state: 'active', createdSeconds: 1000 })
  t.equal(rotationDueSeconds(keyring), 1000 + 30 * DAY_SECONDS)
  t.equal(rotationDueSeconds(EMPTY), undefined, 'nothing rotates while encryption is off')
  t.ok(needsReseal(keyring, 0), 'clear data is to be encrypted')
  t.notOk(needsReseal(EMPTY, 0))
  t.end()
})

t.test('what the rules refuse', t => {
  const on = applySettings(EMPTY, { isOn: true }, change(0))
  const refused: [Parameters<typeof applySettings>[1], string][] = [
    [{ isOn: false }, 'ENCRYPTION_IRREVERSIBLE'],
    [{ intervalDays: 6 }, 'INTERVAL_RANGE'],
    [{ intervalDays: 71 * 365 }, 'INTERVAL_RANGE'],
    [{ intervalDays: 7.5 }, 'INTERVAL_RANGE'],
    [{ intervalDays: 30, mode: 'static' }, 'INTERVAL_STATIC'],
  ]
  for (const [settings, code] of refused) {
    t.throws(() => applySettings(on, settings, change(0)), { code }, JSON.stringify(settings))
  }
  for (const intervalDays of [7, 25_567]) {
    t.equal(applySettings(on, { intervalDays }, change(0)).intervalDays, intervalDays)
  }
  t.end()
})

t.test('a change of the mode begins an epoch: everything older is to be sealed again', t => {
  const internal = rotate(applySettings(EMPTY, { isOn: true }, change(0)), change(1, [1], 2))
  t.notOk(needsReseal(internal, 1), 'a rotation alone moves nothing')
  const fixed = applySettings(internal, { mode: 'static' }, change(2, [1, 2], 3))
  t.equal(activeKey(fixed)?.id, 3)
  t.same(
    [0, 1, 2, 3].map(id => needsReseal(fixed, id)),
    [true, true, true, false],
  )
  t.equal(rotationDueSeconds(fixed), undefined)
  const back = applySettings(fixed, { mode: 'internal' }, change(3, [1, 2, 3], 4))
  t.same(
    [1, 2, 3, 4].map(id => needsReseal(back, id)),
    [true, true, true, false],
  )
  t.equal(applySettings(back, { mode: 'internal' }, change(4)).keys.length, 4, 'no change, no key')
  t.end()
})

t.test('70 years of rotation every 7 days', t => {
  const endSeconds = 25_567 * DAY_SECONDS
  let keyring = applySettings(EMPTY, { isOn: true, intervalDays: 7 }, change(0, [], 1))
  const used = new Set([1])
  let rotations = 0
  let refusals = 0
  for (let now = 0; now <= endSeconds; now += DAY_SECONDS) {
    const due = rotationDueSeconds(keyring)
    if (due === undefined || due > now) continue
    try {
      keyring = rotate(keyring, change(now, used, rotations + 2))
      rotations += 1
      used.add(activeKey(keyring)?.id ?? 0)
    } catch (error) {
      t.match(error, { code: 'KEY_LIMIT' })
      refusals += 1
      if (refusals > 3) break
    }
  }
  t.equal(rotations, KEY_ID_MAX - 1, 'every id is used once')
  t.equal(activeKey(keyring)?.id, KEY_ID_MAX, 'the active key stays in use at the limit')
  t.equal(keyring.keys.length, KEY_ID_MAX)
  const salt = new Uint8Array(32)
  const blockKeys = new Set(
    keyring.keys.map(key => Buffer.from(deriveBlockKey(key.secret, salt)).toString('hex')),
  )
  t.equal(blockKeys.size, KEY_ID_MAX, 'the data of every key still has its own key')
  t.end()
})

t.test('70 years beside a cleaner: ids come back, the one retired longest ago first', t => {
  let keyring = applySettings(EMPTY, { isOn: true, intervalDays: 7 }, change(0, [], 1))
  let rotations = 0
  for (let now = 0; now <= 25_567 * DAY_SECONDS; now += 7 * DAY_SECONDS) {
    const active = activeKey(keyring)?.id ?? 0
    // The cleaner has moved all but the data of the active key and of the one before.
    const before = keyring.keys.find(key => key.state === 'decrypt-only')?.id ?? 0
    const used = new Set([active, before])
    keyring = rotate(keyring, change(now, used, ++rotations))
    keyring = retire(keyring, decryptOnly(keyring, [active]), now).keyring
    t.ok(keyring.keys.length <= KEY_ID_MAX)
  }
  t.equal(rotations, 3653)
  const states = keyring.keys.map(key => key.state)
  t.equal(states.filter(state => state === 'active').length, 1)
  t.ok(
    keyring.keys.every(key => key.state !== 'retired' || key.secret.every(byte => byte === 0)),
    'the material of retired keys is gone',
  )
  t.end()
})

t.test('the active key is never retired, and a retired one only once', t => {
  const keyring = rotate(applySettings(EMPTY, { isOn: true }, change(0)), change(1))
  t.throws(() => retire(keyring, new Set([2]), 9), /active key/)
  const first = retire(keyring, new Set([1]), 9)
  t.strictSame(first.retiredIds, [1])
  t.strictSame(retire(first.keyring, new Set([1]), 10), { keyring: first.keyring, retiredIds: [] })
  t.end()
})

t.test('an id is not reused while a block has it', t => {
  let keyring = applySettings(EMPTY, { isOn: true }, change(0))
  for (let id = 2; id <= KEY_ID_MAX; id++) keyring = rotate(keyring, change(id))
  const result = retire(keyring, decryptOnly(keyring, [5]), 9999)
  t.equal(result.retiredIds.length, KEY_ID_MAX - 2, 'all but the active one and the one in use')
  t.equal(nextKeyId(result.keyring, new Set([1, 2, 5])), 3)
  t.equal(nextKeyId(keyring, new Set()), undefined)
  t.equal(freeKeyCount(keyring, new Set()), 0)
  t.equal(freeKeyCount(result.keyring, new Set([0, 5, 6])), KEY_ID_MAX - 3)
  t.end()
})
