// Does the timed I/O, in a process of its own: whatever the benchmark itself does must not count. Prints a TaskResult.
//
//   io-worker.js TASK [OPTIONS]     both JSON, see tasks.ts

import { randomBytes } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { compareGeneration, writeGeneration } from './io/generations.ts'
import { compareImage, overwrite } from './io/image.ts'
import { writeMixed } from './io/mixed.ts'
import { compareContent, readThrough, writeAll, writeContent } from './io/pieces.ts'
import { createTree, deleteTree, readTree, statTree } from './io/tree.ts'
import type { Task, TaskOptions, TaskResult } from './tasks.ts'

interface Done {
  readonly bytes: number
  readonly count: number
}

function writeSmall(prefix: string, contents: Buffer, count: number, bytes: number): Done {
  for (let index = 0; index < count; index += 1) {
    const file = openSync(`${prefix}-${index}`, 'w')
    writeAll(file, contents.subarray(index * bytes, (index + 1) * bytes))
    closeSync(file)
  }
  return { bytes: count * bytes, count }
}

/** What takes time and isn't I/O is done before; what is returned is what is timed. */
function prepare(task: Task): () => Done {
  const one = (bytes: number): Done => ({ bytes, count: 1 })
  switch (task.kind) {
    case 'write':
      return () => one(writeContent(task.content, task.path))
    case 'read':
      return () => one(readThrough(task.path))
    case 'compare':
      return () => one(compareContent(task.content, task.path))
    case 'small': {
      const { prefix, count, bytes } = task
      const contents = randomBytes(count * bytes)
      return () => writeSmall(prefix, contents, count, bytes)
    }
    case 'mixed':
      return () => writeMixed(task.tar, task.directory, task.bytes)
    case 'overwrite':
      return () => {
        const count = overwrite(task)
        return { bytes: count * task.writeBytes, count }
      }
    case 'compare-image':
      return () => one(compareImage(task.content, task.path, task.journal))
    case 'create-tree':
      return () => ({
        bytes: createTree(task.directory, task.count, task.source),
        count: task.count,
      })
    case 'stat-tree':
      return () => ({ bytes: statTree(task.directory, task.count), count: task.count })
    case 'read-tree':
      return () => ({ bytes: readTree(task.directory, task.count, task.source), count: task.count })
    case 'delete-tree':
      return () => {
        const count = deleteTree(task.directory)
        if (count !== task.count) throw new Error(`${count} files instead of ${task.count}`)
        return { bytes: 0, count }
      }
    case 'write-generation':
      return () => one(writeGeneration(task.generation, task.path))
    case 'compare-generation':
      return () => one(compareGeneration(task.generation, task.path))
  }
}

function sleep(milliseconds: number): void {
  if (milliseconds > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

const [task = '', options = '{}'] = process.argv.slice(2)
const act = prepare(JSON.parse(task) as Task)
const { startAtMs } = JSON.parse(options) as TaskOptions
if (startAtMs !== undefined) sleep(startAtMs - Date.now())
const startedMs = performance.timeOrigin + performance.now()
const done = act()
const endedMs = performance.timeOrigin + performance.now()
const result: TaskResult = {
  ...done,
  seconds: (endedMs - startedMs) / 1000,
  startedMs,
  endedMs,
}
console.log(JSON.stringify(result))
