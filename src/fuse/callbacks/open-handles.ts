// What programs have open. The packages carry a number for each, of 32 bits in one of them and never 0; the filesystem's own
// handles only ever count up, so ours are used again.

import { FilesystemError } from '../../errors.ts'
import type { InodeNumber } from '../filesystem.ts'

export interface OpenHandle {
  /** the filesystem's; a directory has none */
  readonly handle: number
  readonly inode: InodeNumber
  readonly isDirectory: boolean
  /** open(2)'s */
  readonly flags: number
}

export class OpenHandles {
  readonly #handles: (OpenHandle | undefined)[] = []
  readonly #freeNumbers: number[] = []
  readonly #openCounts = new Map<InodeNumber, number>()

  /** @returns the number for the package, from 1 */
  add(handle: OpenHandle): number {
    const number = this.#freeNumbers.pop() ?? this.#handles.length + 1
    this.#handles[number - 1] = handle
    this.#openCounts.set(handle.inode, (this.#openCounts.get(handle.inode) ?? 0) + 1)
    return number
  }

  /** @throws FilesystemError EBADF */
  get(number: number): OpenHandle {
    const handle = this.#handles[number - 1]
    if (handle === undefined) throw new FilesystemError('EBADF')
    return handle
  }

  /** @throws FilesystemError EBADF */
  remove(number: number): OpenHandle {
    const handle = this.get(number)
    this.#handles[number - 1] = undefined
    this.#freeNumbers.push(number)
    const left = (this.#openCounts.get(handle.inode) ?? 0) - 1
    if (left > 0) this.#openCounts.set(handle.inode, left)
    else this.#openCounts.delete(handle.inode)
    return handle
  }

  isOpen(inode: InodeNumber): boolean {
    return this.#openCounts.has(inode)
  }

  /** how many are open */
  get size(): number {
    return this.#handles.length - this.#freeNumbers.length
  }
}
