// Keys as objects with a life: taken over once, used while they live, and never after that.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import {
  CHUNK_KEY_BYTES,
  createBlockFile,
  cutAndFingerprint,
  cutAndFingerprintNow,
  openBlockFile,
} from '../../src/native/data-path.ts'
import { openSecrets, sealSecrets, Secret } from '../../src/native/secret.ts'
import { secretOf } from '../helpers/secrets.ts'

const NONCE = new Uint8Array(12)
const NOTHING = new Uint8Array(0)
const WIPED = { code: 'KEY_WIPED' }

t.test('what is taken is wiped where it came from', async t => {
  const bytes = new Uint8Array(32).fill(7)
  const secret = Secret.take(bytes)
  t.ok(bytes.every(byte => byte === 0))
  t.ok(secret.equals(secretOf(7)))
  t.notOk(secret.equals(secretOf(8)))
  t.notOk(secret.equals(secretOf(7, 31)))
  t.notOk(Secret.random(32).equals(Secret.random(32)))
})

t.test('zeros are no key', async t => {
  t.throws(() => Secret.take(new Uint8Array(32)), { code: 'KEY_UNUSABLE' })
  t.throws(() => Secret.take(new Uint8Array(0)))
  t.throws(() => Secret.random(0))
  t.throws(() => Secret.random(2 ** 20 + 1))
})

t.test('every use after the end throws', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-secret-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const key = secretOf(3)
  const sealed = sealSecrets(key, NONCE, NOTHING, [secretOf(5)])
  const chunkKey = secretOf(4, CHUNK_KEY_BYTES)
  for (const secret of [key, chunkKey]) {
    t.notOk(secret.isWiped)
    secret.wipe()
    secret.wipe()
    t.ok(secret.isWiped)
  }
  const identity = { group: 1, block: 1, keyId: 3, key }
  t.throws(() => key.handle, WIPED)
  t.throws(() => key.equals(secretOf(3)), WIPED)
  t.throws(() => secretOf(3).equals(key), WIPED)
  t.throws(() => sealSecrets(key, NONCE, NOTHING, [secretOf(5)]), WIPED)
  t.throws(() => sealSecrets(secretOf(3), NONCE, NOTHING, [key]), WIPED)
  t.throws(() => openSecrets(key, NONCE, NOTHING, sealed, [32]), WIPED)
  t.throws(() => createBlockFile(join(directory, 'f'), identity, 1), WIPED)
  t.throws(() => openBlockFile(join(directory, 'f'), identity), WIPED)
  const cut = { key: chunkKey, averageBytes: 8192, maxBytes: 65_536 }
  t.throws(() => cutAndFingerprintNow(new Uint8Array(10), cut, true), WIPED)
  t.throws(() => cutAndFingerprint(new Uint8Array(10), cut, true), WIPED)
})

t.test('a job that was handed over before the end has its own copy', async t => {
  const data = new Uint8Array(100_000).fill(1)
  const parameters = { averageBytes: 8192, maxBytes: 65_536 }
  const expected = cutAndFingerprintNow(
    data,
    { ...parameters, key: secretOf(4, CHUNK_KEY_BYTES) },
    true,
  )
  const key = secretOf(4, CHUNK_KEY_BYTES)
  const cutting = cutAndFingerprint(data, { ...parameters, key }, true)
  key.wipe()
  t.same((await cutting).fingerprints, expected.fingerprints)
})

t.test('sealed secrets come back, the absent ones as absent', async t => {
  const key = secretOf(3)
  const associated = Buffer.from('head')
  const sealed = sealSecrets(key, NONCE, associated, [
    secretOf(1, 40),
    { lengthBytes: 32 },
    secretOf(2),
  ])
  t.equal(sealed.length, 40 + 32 + 32 + 16)
  const opened = openSecrets(key, NONCE, associated, sealed, [40, 32, 32])
  t.ok(opened?.[0]?.equals(secretOf(1, 40)))
  t.equal(opened?.[1], undefined)
  t.ok(opened?.[2]?.equals(secretOf(2)))
  for (let at = 0; at < sealed.length; at++) {
    const forged = Uint8Array.from(sealed)
    forged[at] = (forged[at] ?? 0) ^ 1
    t.equal(openSecrets(key, NONCE, associated, forged, [40, 32, 32]), undefined)
  }
  t.equal(openSecrets(key, NONCE, Buffer.from('other'), sealed, [40, 32, 32]), undefined)
  t.equal(openSecrets(secretOf(9), NONCE, associated, sealed, [40, 32, 32]), undefined)
  t.throws(() => openSecrets(key, NONCE, associated, sealed, [40, 32]))
})
