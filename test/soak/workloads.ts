// What goes on in a soak: each workload is one round of some kind of use, run over and over, that cleans up behind itself
// and checks what it reads.

import { createHash, randomBytes } from 'node:crypto'
import {
  mkdir,
  open,
  opendir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { connectControl, type ControlClient } from '../../src/control/client.ts'

export const CONTAINERS = ['plain', 'secret'] as const
export const SECRET_GROUP = 'sealed'

const STREAM_FILES_MAX = 8
const STREAM_BYTES_MAX = 12 * 1024 * 1024
const TREE_DIRECTORIES = 4
const TREE_FILES = 20
const PAGE_BYTES = 4096
const DATABASE_PAGES = 512
const TRANSACTIONS = 20
const IDLE_CLIENTS = 10
const OPEN_FILES = 40
/** Not always: it costs more than all else, and keys are for days. */
const PASS_EVERY = 4
const ROTATION_EVERY = 10
/** An administrator's pace. */
const CONTROL_PAUSE_MS = 500

export interface SoakPlace {
  readonly mount: string
  readonly socket: string
}

export interface Workload {
  readonly name: string
  round(count: number): Promise<void>
}

const below = (limit: number): number => Math.floor(Math.random() * limit)
const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex')

function check(isRight: boolean, what: string): void {
  if (!isRight) throw new Error(what)
}

/** Large files: half new bytes, half what has been stored before; read back, renamed, deleted. */
function streams(directory: string): Workload {
  const known = randomBytes(STREAM_BYTES_MAX / 2)
  const files: { path: string; sum: string }[] = []
  return {
    name: 'streams',
    async round(count) {
      const size = 1 + below(STREAM_BYTES_MAX / 2)
      const data = Buffer.concat([randomBytes(size), known.subarray(0, below(known.length))])
      const path = join(directory, `stream-${count}.tmp`)
      await writeFile(path, data)
      const final = join(directory, `stream-${count}`)
      await rename(path, final)
      files.push({ path: final, sum: sha256(data) })
      const again = files[below(files.length)]
      if (again !== undefined) {
        check(sha256(await readFile(again.path)) === again.sum, `${again.path} reads differently`)
      }
      if (files.length <= STREAM_FILES_MAX) return
      const [oldest] = files.splice(below(files.length), 1)
      if (oldest !== undefined) await unlink(oldest.path)
    },
  }
}

/** A tree of small files: made, walked, moved, removed. */
function trees(directory: string): Workload {
  return {
    name: 'trees',
    async round(count) {
      const tree = join(directory, `tree-${count}`)
      for (let folder = 0; folder < TREE_DIRECTORIES; folder++) {
        const path = join(tree, `folder-${folder}`)
        await mkdir(path, { recursive: true })
        for (let index = 0; index < TREE_FILES; index++) {
          await writeFile(join(path, `file-${index}`), `${count} ${index} `.repeat(below(400)))
        }
        await symlink('../elsewhere', join(path, 'link'))
      }
      const moved = `${tree}-moved`
      await rename(tree, moved)
      const names = await readdir(moved, { recursive: true })
      check(names.length === TREE_DIRECTORIES * (TREE_FILES + 2), `${names.length} names in a tree`)
      for (const name of names.filter(name => /file-\d+$/.test(name))) await stat(join(moved, name))
      await rm(moved, { recursive: true })
    },
  }
}

/** As a database does it: a page is changed in place, noted in a journal, and both are synced. */
function database(directory: string): Workload {
  const path = join(directory, 'database')
  const pages = new Map<number, Buffer>()
  return {
    name: 'database',
    async round() {
      const file = await open(path, 'a+').then(async made => {
        await made.close()
        return open(path, 'r+')
      })
      const journal = await open(`${path}-journal`, 'w')
      try {
        for (let turn = 0; turn < TRANSACTIONS; turn++) {
          const page = below(DATABASE_PAGES)
          const bytes = randomBytes(PAGE_BYTES)
          await journal.write(bytes)
          await journal.datasync()
          await file.write(bytes, 0, PAGE_BYTES, page * PAGE_BYTES)
          pages.set(page, bytes)
          await file.datasync()
        }
        const [page, expected] = [...pages][below(pages.size)] ?? []
        if (page === undefined || expected === undefined) return
        const { buffer } = await file.read(
          Buffer.alloc(PAGE_BYTES),
          0,
          PAGE_BYTES,
          page * PAGE_BYTES,
        )
        check(buffer.equals(expected), `page ${page} of the database reads differently`)
      } finally {
        await journal.close()
        await file.close()
        await unlink(`${path}-journal`)
      }
    },
  }
}

/** Many open handles at once, some on files that have lost their name, and listings that nobody finishes. */
function handles(directory: string): Workload {
  return {
    name: 'handles',
    async round(count) {
      const folder = join(directory, `handles-${count}`)
      await mkdir(folder)
      const opened = []
      for (let index = 0; index < OPEN_FILES; index++) {
        const path = join(folder, `file-${index}`)
        const file = await open(path, 'w+')
        opened.push(file)
        await file.write(`${index}`)
        if (index % 2 === 0) await unlink(path)
      }
      const listing = await opendir(folder)
      await listing.read()
      await listing.close()
      for (const [index, file] of opened.entries()) {
        const { buffer, bytesRead } = await file.read(Buffer.alloc(16), 0, 16, 0)
        check(
          buffer.toString('utf8', 0, bytesRead) === `${index}`,
          'an open file reads differently',
        )
        await file.close()
      }
      await rm(folder, { recursive: true })
    },
  }
}

async function withClient(socket: string, use: (client: ControlClient) => Promise<void>) {
  const client = await connectControl(socket)
  try {
    await use(client)
  } finally {
    client.close()
  }
}

/** An administrator, monitoring, and programs that connect and say nothing. */
function control({ mount, socket }: SoakPlace): Workload {
  return {
    name: 'control',
    async round(count) {
      await pause(CONTROL_PAUSE_MS)
      const idle = await Promise.all(
        Array.from({ length: IDLE_CLIENTS }, async () => connectControl(socket)),
      )
      for (const client of idle) client.close()
      await withClient(socket, async client => {
        const [name, newName] = [`passing-${count}`, `renamed-${count}`]
        await client.call('container.add', { name })
        await writeFile(join(mount, name, 'file'), randomBytes(100_000))
        await client.call('container.rename', { name, newName })
        await client.call('container.delete', { name: newName, deleteFiles: true })
        await client.call('stats.prometheus', {})
        await client.call('system.status', {})
        if (count % ROTATION_EVERY === 0) {
          await client.call('storageGroup.rotateKey', { name: SECRET_GROUP })
        }
        if (count % PASS_EVERY === 0) await client.call('maintenance.reclaimSpace', { wait: true })
      })
      // One that goes away while it is being served.
      const leaving = await connectControl(socket)
      leaving.call('stats.system', {}).catch(() => undefined)
      leaving.close()
    },
  }
}

export function workloads(place: SoakPlace): Workload[] {
  const inContainers = CONTAINERS.flatMap(container => {
    const directory = join(place.mount, container)
    return [streams(directory), trees(directory), database(directory), handles(directory)].map(
      workload => ({
        name: `${container} ${workload.name}`,
        round: (count: number) => workload.round(count),
      }),
    )
  })
  return [...inContainers, control(place)]
}
