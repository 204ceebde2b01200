// AES-256-GCM and the key derivation against published vectors, node's own and each other.

import t from 'tap'
import { createCipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { deriveBlockKey, encrypt, setCipher } from '../../src/native/data-path.ts'

const CIPHERS = ['openssl', 'ipsec-mb'] as const

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

t.test('the block key is HKDF-SHA256', async t => {
  const [key, salt] = [randomBytes(32), randomBytes(32)]
  const expected = Buffer.from(hkdfSync('sha256', key, salt, 'coffer block v1', 32))
  t.same(Buffer.from(deriveBlockKey(key, salt)), expected)
})
