// AES-256-GCM and the key derivation against published vectors, node's own and each other.

import t from 'tap'
import { Secret } from '../../src/native/secret.ts'
import { createCipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { REGION_SLOT_BYTES } from '../../src/blocks/region-cache.ts'
import { deriveBlockKey, encrypt, setCipher, testExports } from '../helpers/test-exports.ts'

const CIPHERS = ['openssl', 'ipsec-mb'] as const
/** fingerprint and length of a chunk */
const TABLE_ENTRY_BYTES = 36

for (const name of CIPHERS) {
  t.test(`cipher ${name}`, async t => {
    t.teardown(() => void setCipher('auto'))
    setCipher(name)

    // McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 14 and 16.
    const zero = Buffer.alloc(32)
    const first = encrypt(zero, Buffer.alloc(12), Buffer.alloc(0), Buffer.alloc(16))
    t.equal(
      Buffer.from(first).toString('hex'),
      'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919',
    )
    const second = encrypt(
      Buffer.from('feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308', 'hex'),
      Buffer.from('cafebabefacedbaddecaf888', 'hex'),
      Buffer.from('feedfacedeadbeeffeedfacedeadbeefabaddad2', 'hex'),
      Buffer.from(
        'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72' +
          '1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39',
        'hex',
      ),
    )
    t.equal(Buffer.from(second).subarray(-16).toString('hex'), '76fc6ece0f4e1768cddf8853bb2d551b')

    for (let run = 0; run < 100; run++) {
      const [key, nonce, associated] = [randomBytes(32), randomBytes(12), randomBytes(64)]
      const data = randomBytes(run * run)
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(associated)
      const expected = Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()])
      if (Buffer.compare(encrypt(key, nonce, associated, data), expected) !== 0)
        t.fail(`run ${run}`)
    }
  })
}

t.test('OpenSSL and libipsec-mb write and read the same regions', async t => {
  t.teardown(() => void setCipher('auto'))
  const directory = t.testdir()
  const identity = { group: 1, block: 1, keyId: 1, key: Secret.random(32).handle }
  const sizes = [200_000, ...Array.from({ length: 50 }, (_, index) => index * 37 + 1)]
  const datas = sizes.map(size => randomBytes(size))
  const fingerprints = randomBytes(32 * datas.length)
  const counts = Uint32Array.of(datas.length)
  for (const [writer, reader] of [CIPHERS, CIPHERS.toReversed()]) {
    const path = join(directory, `by-${writer}`)
    setCipher(writer ?? 'auto')
    const file = await testExports.createBlockFile(path, identity, 1)
    const written = await testExports.appendRegions(file, 1, 0, true, datas, fingerprints, counts)
    testExports.closeBlockFile(file)
    setCipher(reader ?? 'auto')
    const again = await testExports.openBlockFile(path, identity)
    const out = Buffer.alloc(REGION_SLOT_BYTES)
    await testExports.readRegion(again, written.pages[0] ?? 0, 0, out)
    testExports.closeBlockFile(again)
    const content = Buffer.concat(datas)
    const from = datas.length * TABLE_ENTRY_BYTES
    t.ok(out.subarray(from, from + content.length).equals(content), `${writer}, then ${reader}`)
  }
})

t.test('the block key is HKDF-SHA256', async t => {
  const [key, salt] = [randomBytes(32), randomBytes(32)]
  const expected = Buffer.from(hkdfSync('sha256', key, salt, 'coffer block v1', 32))
  t.same(Buffer.from(deriveBlockKey(key, salt)), expected)
})
