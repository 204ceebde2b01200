// Which keystores may be erased: those of groups whose deletion is durable, each once.

import t from 'tap'
import { KeystoreErasures } from '../../src/daemon/keystore-erasures.ts'

/** One record, as commits leave it. */
class Metadata {
  #value: Buffer | undefined

  get(): Buffer | undefined {
    return this.#value
  }

  put(_key: Uint8Array, value: Uint8Array): void {
    this.#value = Buffer.from(value)
  }

  delete(): void {
    this.#value = undefined
  }
}

t.test('a deletion counts when its commit is durable', async t => {
  const metadata = new Metadata()
  const erasures = new KeystoreErasures(metadata)
  erasures.add(2)
  t.strictSame(erasures.ids, [], 'not collected')
  erasures.collect(metadata)
  erasures.add(3)
  t.strictSame(erasures.ids, [], 'collected, not durable')
  erasures.settled()
  t.strictSame(erasures.ids, [2], 'the later one waits for its own commit')
  // While the other one still waits for its commit.
  erasures.done(2)
  t.strictSame(erasures.ids, [])
  erasures.collect(metadata)
  erasures.settled()
  t.strictSame(erasures.ids, [3])
  t.strictSame(new KeystoreErasures(metadata).ids, [3], 'what a next start finds')
  erasures.done(3)
  erasures.collect(metadata)
  erasures.settled()
  t.strictSame(new KeystoreErasures(metadata).ids, [])
})
