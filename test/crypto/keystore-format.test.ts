import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'

import { CryptoError } from '../../src/crypto/index.ts'
import { openKeystore, packKeystore, parseKeystore } from '../../src/crypto/keystore-format.ts'
import { CHUNK_KEY_BYTES } from '../../src/native/data-path.ts'
import { Secret } from '../../src/native/secret.ts'
import { secretOf } from '../helpers/secrets.ts'
import { deriveWrappingKey } from '../../src/crypto/passphrase.ts'
import { KEY_ID_MAX, type Keyring, type KeyState } from '../../src/crypto/keyring.ts'

const WRAPPING_KEY = Secret.random(32)
const IDENTITY = {
  store: '000102030405060708090a0b0c0d0e0f',
  group: 7,
  sequence: 3,
  sinceSeconds: 1_700_000_000,
  predecessors: ['ab'.repeat(32), 'cd'.repeat(32)],
  scrypt: { logCost: 4, blockSize: 8, parallelism: 1 },
  salt: new Uint8Array(randomBytes(32)),
}

const states = fc.constantFrom<KeyState>('decrypt-only', 'retired')
const keyrings = fc.record(
  {
    isOn: fc.boolean(),
    mode: fc.constantFrom<'internal' | 'static'>('internal', 'static'),
    intervalDays: fc.integer({ min: 7, max: 25_567 }),
    epoch: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    chunkKey: fc.constant(undefined).map(() => Secret.random(CHUNK_KEY_BYTES)),
    keys: fc.uniqueArray(
      fc
        .record(
          {
            id: fc.integer({ min: 1, max: KEY_ID_MAX }),
            state: states,
            epoch: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
            createdSeconds: fc.integer({ min: 0, max: 2 ** 40 }),
            retiredSeconds: fc.integer({ min: 0, max: 2 ** 40 }),
          },
          { noNullPrototype: true },
        )
        .map(key => ({ ...key, secret: key.state === 'retired' ? undefined : Secret.random(32) })),
      { selector: key => key.id, maxLength: 40 },
    ),
  },
  { noNullPrototype: true },
)

const sample: Keyring = {
  isOn: true,
  mode: 'internal',
  intervalDays: 30,
  epoch: 0,
  chunkKey: secretOf(0xa5, CHUNK_KEY_BYTES),
  keys: [
    {
      id: 1,
      state: 'active',
      epoch: 0,
      createdSeconds: 1,
      retiredSeconds: 0,
      secret: secretOf(0x5a),
    },
  ],
}

/** Without what can't be read. */
function plain({ isOn, mode, intervalDays, epoch, keys }: Keyring): object {
  return { isOn, mode, intervalDays, epoch, keys: keys.map(key => ({ ...key, secret: undefined })) }
}

t.test('what is packed is what is opened', t => {
  fc.assert(
    fc.property(keyrings, keyring => {
      const head = parseKeystore(packKeystore(IDENTITY, keyring, WRAPPING_KEY))
      t.match(head, { ...IDENTITY, version: 2, isOn: keyring.isOn, mode: keyring.mode })
      const opened = openKeystore(head, WRAPPING_KEY)
      if (opened === undefined) throw new Error('it can not be opened')
      t.strictSame(plain(opened), plain(keyring))
      t.ok(opened.chunkKey.equals(keyring.chunkKey))
      t.ok(
        opened.keys.every(({ secret }, index) => {
          const before = keyring.keys[index]?.secret
          return secret === undefined ? before === undefined : before?.equals(secret)
        }),
      )
    }),
    { numRuns: 100 },
  )
  t.end()
})

t.test('no key of it is readable, and the same keyring never looks the same', t => {
  const file = packKeystore(IDENTITY, sample, WRAPPING_KEY)
  t.equal(file.indexOf(Buffer.alloc(8, 0x5a)), -1)
  t.equal(file.indexOf(Buffer.alloc(8, 0xa5)), -1)
  t.notSame(packKeystore(IDENTITY, sample, WRAPPING_KEY), file)
  t.end()
})

t.test('another key opens nothing; an edit that knows the checksum opens nothing', t => {
  const head = parseKeystore(packKeystore(IDENTITY, sample, WRAPPING_KEY))
  t.equal(openKeystore(head, secretOf(1)), undefined)
  // 24: the flag "on"; 88: since when; 96: the store; 112 and 114: a key's id and state; 136 and 168: predecessors
  for (const at of [16, 24, 25, 28, 88, 96, 112, 114, 136, 168, 210]) {
    const bytes = Uint8Array.from(head.bytes)
    bytes[at] = (bytes[at] ?? 0) ^ 1
    t.equal(openKeystore({ ...head, bytes }, WRAPPING_KEY), undefined, `byte ${at}`)
  }
  t.end()
})

t.test('every flipped bit and every missing end is damage', t => {
  const file = packKeystore(IDENTITY, sample, WRAPPING_KEY)
  for (let bit = 0; bit < file.length * 8; bit++) {
    const bytes = Uint8Array.from(file)
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    if (!isRefused(bytes)) t.fail(`bit ${bit}`)
  }
  for (let length = 0; length < file.length; length++) {
    if (!isRefused(file.subarray(0, length))) t.fail(`length ${length}`)
  }
  t.ok(isRefused(Buffer.concat([file, Buffer.alloc(1)])))
  t.end()
})

t.test('a keystore of version 1 is read, and is bound to no store', async t => {
  const bytes = await readFile(join('test', 'fixtures', 'keystore-1', '3.keystore'))
  const head = parseKeystore(bytes)
  t.match(head, { version: 1, group: 3, sequence: 3, isOn: true, sinceSeconds: 0 })
  t.equal(head.store, undefined)
  t.same(head.predecessors, [])
  const key = await deriveWrappingKey(Buffer.from('the old passphrase'), head.salt, head.scrypt)
  t.same(
    openKeystore(head, key)?.keys.map(({ id, state }) => `${id} ${state}`),
    ['1 decrypt-only', '2 active'],
  )
})

t.test('arbitrary bytes are refused, never anything else', t => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 5000 }), bytes => isRefused(bytes)))
  t.pass('no other error')
  t.end()
})

/** @throws whatever isn't the refusal that is meant */
function isRefused(bytes: Uint8Array): boolean {
  try {
    parseKeystore(bytes)
    return false
  } catch (error) {
    if (error instanceof CryptoError && error.code === 'KEYSTORE_DAMAGED') return true
    throw error
  }
}
