// A tree of many small files, like the sources of a kernel: names, sizes, times and contents follow from a file's number.

import {
  closeSync,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  unlinkSync,
  utimesSync,
} from 'node:fs'
import { join } from 'node:path'
import { PAGE_BYTES, readFully, stampPages, writeAll } from './pieces.ts'
import { randomNumbers } from './random.ts'

/** As many as in a directory of Linux 6.x, on the average. */
const FILES_PER_DIRECTORY = 12
const TOP_DIRECTORIES = 25
const MIDDLE_DIRECTORIES = 13
/** Sizes have a median of 5 KB and a mean of 11 KB, as kernel sources do, give or take. */
const SIZE_MEDIAN_BYTES = 4800
const SIZE_SPREAD = 1.3
const SIZE_BYTES_MAX = 1024 * 1024
/** A whole second, which every filesystem can keep. */
const TIME_SECONDS = 1_700_000_000

interface TreeFile {
  readonly path: string
  readonly bytes: number
  /** of the place of its content in the source, 0 to 1 */
  readonly place: number
}

function treeFile(directory: string, index: number): TreeFile {
  const leaf = Math.floor(index / FILES_PER_DIRECTORY)
  const middle = Math.floor(leaf / TOP_DIRECTORIES) % MIDDLE_DIRECTORIES
  const folder = join(`top-${leaf % TOP_DIRECTORIES}`, `middle-${middle}`, `leaf-${leaf}`)
  const random = randomNumbers(index)
  // Box and Muller: two even numbers make a normal one.
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  const bytes = Math.round(SIZE_MEDIAN_BYTES * Math.exp(SIZE_SPREAD * normal))
  return {
    path: join(directory, folder, `file-${index}.c`),
    bytes: Math.min(SIZE_BYTES_MAX, Math.max(1, bytes)),
    place: random(),
  }
}

/** Knows what is in each file. */
class TreeContents {
  readonly #source: number
  readonly #pages: number
  readonly #buffer = Buffer.alloc(SIZE_BYTES_MAX)

  constructor(source: string) {
    this.#source = openSync(source, 'r')
    this.#pages = Math.floor((fstatSync(this.#source).size - SIZE_BYTES_MAX) / PAGE_BYTES)
  }

  /** In a buffer that the next call uses again. */
  of(file: TreeFile, index: number): Buffer {
    const content = this.#buffer.subarray(0, file.bytes)
    readFully(this.#source, content, Math.floor(file.place * this.#pages) * PAGE_BYTES)
    stampPages(content, index + 1)
    return content
  }

  close(): void {
    closeSync(this.#source)
  }
}

/** Creates all files, with a modification time as an unpacked archive's. Returns the bytes written. */
export function createTree(directory: string, count: number, source: string): number {
  const contents = new TreeContents(source)
  let bytes = 0
  for (let index = 0; index < count; index += 1) {
    const treeEntry = treeFile(directory, index)
    if (index % FILES_PER_DIRECTORY === 0) {
      mkdirSync(join(treeEntry.path, '..'), { recursive: true })
    }
    const file = openSync(treeEntry.path, 'wx')
    writeAll(file, contents.of(treeEntry, index))
    closeSync(file)
    utimesSync(treeEntry.path, TIME_SECONDS, TIME_SECONDS)
    bytes += treeEntry.bytes
  }
  contents.close()
  return bytes
}

/** Asks for the attributes of every file. @throws when a size or a time isn't what was written */
export function statTree(directory: string, count: number): number {
  let bytes = 0
  for (let index = 0; index < count; index += 1) {
    const { path, bytes: expected } = treeFile(directory, index)
    const { size, mtimeMs } = lstatSync(path)
    if (size !== expected || mtimeMs !== TIME_SECONDS * 1000) {
      throw new Error(`${path} has ${size} bytes of ${new Date(mtimeMs).toISOString()}`)
    }
    bytes += size
  }
  return bytes
}

/** Reads every file. @throws when a byte isn't what was written */
export function readTree(directory: string, count: number, source: string): number {
  const contents = new TreeContents(source)
  let bytes = 0
  for (let index = 0; index < count; index += 1) {
    const treeEntry = treeFile(directory, index)
    const found = readFileSync(treeEntry.path)
    if (!found.equals(contents.of(treeEntry, index))) {
      throw new Error(`${treeEntry.path} is not what was written`)
    }
    bytes += found.length
  }
  contents.close()
  return bytes
}

/** Deletes every file and directory. Returns how many files there were. */
export function deleteTree(directory: string): number {
  let count = 0
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) count += deleteTree(path)
    else {
      unlinkSync(path)
      count += 1
    }
  }
  rmdirSync(directory)
  if (existsSync(directory)) throw new Error(`${directory} is still there`)
  return count
}
