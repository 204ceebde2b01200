// A process in which one durable step fails, or is its last: it does one operation on a whole store and prints what it
// promised. "kept NAME HASH" is durable, "changing NAME" ends that promise, "operation CODE" is how the operation ended.
//
//   COFFER_FAULT=… node fault-victim.js DIRECTORY OPERATION

import '../helpers/cheap-scrypt.ts'
import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { writeDurably } from '../../src/durable-file.ts'
import { contentOf, OpenStore, sha256 } from '../helpers/open-store.ts'
import { GROUP, OLD, SCENARIOS } from './encryption-scenarios.ts'

const [directory = '', operation = ''] = process.argv.slice(2)
const STDOUT = 1
const STDERR = 2

function say(line: string): void {
  writeSync(STDOUT, `${line}\n`)
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}

async function keep(store: OpenStore, name: string, content: Buffer): Promise<void> {
  await store.write(name, content, true)
  say(`kept ${name} ${sha256(content)}`)
}

/** Longer than a test: what is freed stays in the trash. */
const KEEP_SECONDS = 3600

/** From here on the test counts the points that are reached. */
function begin(): void {
  writeSync(STDERR, 'begin\n')
}

async function prepared(): Promise<OpenStore> {
  const trash = { keepSeconds: operation === 'undo free' ? KEEP_SECONDS : 0 }
  const store = await OpenStore.open(directory, { trash })
  store.storage.groups.add(GROUP, 'fast')
  store.addContainer('v', GROUP)
  store.addContainer('other')
  for (let number = 0; number < 3; number++) {
    await keep(store, `v/f${number}`, contentOf(number, 50_000 + number * 40_000))
  }
  await keep(store, 'other/f', contentOf(7, 90_000))
  return store
}

async function run(store: OpenStore): Promise<void> {
  const scenario = SCENARIOS.find(({ name }) => name === operation)
  if (scenario !== undefined) return scenario.change(store)
  switch (operation) {
    case 'write':
      await keep(store, 'v/new', contentOf(20, 700_000))
      return
    case 'clean':
      await clean(store)
      return
    case 'undo free':
      await store.storage.trash.undoFree()
      await clean(store)
      await store.storage.trash.empty()
      return
    case 'delete': {
      const { vfs } = store.storage
      say('changing other/f')
      vfs.deleteContainer('other', { deleteFiles: true })
      await vfs.deletionsDone()
      await store.sync()
      return
    }
    case 'delete group': {
      const { groups, encryption, metadata } = store.storage
      const { id } = groups.named('short-lived')
      groups.delete('short-lived')
      encryption.groupDeleted(id)
      await metadata.commit()
      await encryption.eraseDeleted()
      return
    }
    case 'password':
      await writeDurably('mail-password', join(directory, 'mail-password'), 'secret')
      return
    case 'repair': {
      const { outcome, text } = await store.storage.repairer.start(undefined).done
      if (outcome !== 'repaired') throw new Error(text)
      return
    }
    case 'stop':
      await store.close()
      return
    default:
      throw new Error(`there is no operation ${operation}`)
  }
}

async function clean(store: OpenStore): Promise<void> {
  const { outcome, text } = await store.storage.cleaner.start('manual').done
  if (outcome === 'failed') throw new Error(text)
}

/** What has to work after a failure that left the store writable: deletes, the cleaner, and writing again. */
async function goOn(store: OpenStore): Promise<void> {
  if (store.storage.readOnlyReason !== undefined) {
    say(`read-only ${store.storage.alerts.isRaised('STORE_READ_ONLY')}`)
    return
  }
  await keep(store, 'v/later', contentOf(30, 300_000))
  say('changing v/f2')
  store.remove('v/f2')
  await store.sync()
  const { outcome } = await store.storage.cleaner.start('manual').done
  say(`cleaned ${outcome}`)
}

async function main(): Promise<void> {
  if (operation === 'start') begin()
  const store = await prepared()
  if (operation === 'clean' || operation === 'undo free') {
    store.storage.groups.update(GROUP, { compression: 'none' })
    say('changing v/f0')
    store.remove('v/f0')
    await store.sync()
  }
  if (operation === 'undo free') await clean(store)
  if (operation === 'repair') {
    const { vfs } = store.storage
    const inode = vfs.lookup(vfs.containerByName('v').root, 'f0')?.attributes.inode ?? 0
    vfs.mending.addLinks(inode, 3)
    await store.sync()
  }
  if (operation === 'delete group') {
    const { groups, encryption } = store.storage
    const group = groups.add('short-lived', 'fast')
    await encryption.setPassphrase(group, undefined, OLD)
    await encryption.set(group, { isOn: true })
  }
  const scenario = SCENARIOS.find(({ name }) => name === operation)
  await scenario?.prepare(store)
  if (operation === 'start') {
    await store.close()
    say('operation ok')
    return
  }
  begin()
  let code = 'ok'
  try {
    await run(store)
  } catch (error) {
    code = codeOf(error)
  }
  say(`operation ${code}`)
  writeSync(STDERR, 'going on\n')
  if (operation !== 'stop') {
    await goOn(store).catch((error: unknown) => say(`going-on ${codeOf(error)}`))
    await store.close().catch((error: unknown) => say(`close ${codeOf(error)}`))
  }
  say('end')
}

async function recover(): Promise<void> {
  begin()
  const store = await OpenStore.open(directory)
  await store.close()
  say('operation ok')
}

await (operation === 'recover' ? recover() : main()).catch((error: unknown) => {
  say(`operation ${codeOf(error)}`)
  process.exit(0)
})
