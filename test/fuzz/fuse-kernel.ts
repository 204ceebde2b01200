// The kernel's side of the FUSE protocol for fuzzing: hands requests to a dispatcher over a real filesystem whose files
// have sizes but no bytes, and checks what is answered.

import { setImmediate as turn } from 'node:timers/promises'
import { CofferError, FilesystemError } from '../../src/errors.ts'
import { Dispatcher, type ReplyLink } from '../../src/fuse/dispatch.ts'
import { errnoNumber } from '../../src/fuse/errno.ts'
import type { FuseFilesystem } from '../../src/fuse/filesystem.ts'
import { Opcode } from '../../src/fuse/protocol.ts'
import type { ContentOwner, ContentRead, ContentStore, FileContent } from '../../src/vfs/content.ts'

const IN_HEADER_BYTES = 40
const OUT_HEADER_BYTES = 16
const REPLY_BYTES = 256 * 1024
const SLOT_BYTES = 16 * 1024
const SLOT_COUNT = 64
const TURNS_MAX = 200
const EIO = 5
const ZEROS = new Uint8Array(1024 * 1024)
const UNANSWERED: ReadonlySet<number> = new Set([
  Opcode.FORGET,
  Opcode.BATCH_FORGET,
  Opcode.INTERRUPT,
])

/** A file of zeros of any size. */
class HollowContent implements FileContent {
  sizeBytes: number
  readonly mappedBytes = 0
  readonly hasUnflushedData = false
  readonly #owner: ContentOwner

  constructor(sizeBytes: number, owner: ContentOwner) {
    this.sizeBytes = sizeBytes
    this.#owner = owner
  }

  get committableSizeBytes(): number {
    return this.sizeBytes
  }

  write(offsetBytes: number, data: Uint8Array): void {
    this.sizeBytes = Math.max(this.sizeBytes, offsetBytes + data.length)
    this.#owner.changed()
  }

  read(offsetBytes: number, sizeBytes: number): ContentRead {
    const bytes = Math.max(0, Math.min(sizeBytes, this.sizeBytes - offsetBytes))
    return { pieces: bytes === 0 ? [] : [ZEROS.subarray(0, bytes)], release: () => undefined }
  }

  truncate(sizeBytes: number): void {
    this.sizeBytes = sizeBytes
    this.#owner.changed()
  }

  async punch(): Promise<void> {}

  async seek(offsetBytes: number, whence: number): Promise<number | undefined> {
    return whence === 3 ? offsetBytes : undefined
  }

  drain(): void {}
  async settle(): Promise<void> {}
}

export class HollowStore implements ContentStore {
  open(_inode: number, _group: number, sizeBytes: number, _mapped: number, owner: ContentOwner) {
    return new HollowContent(sizeBytes, owner)
  }
  checkAccess(): void {}
  close(): void {}
  async share(
    _source: FileContent,
    _start: number,
    target: FileContent,
    targetStartBytes: number,
    lengthBytes: number,
  ): Promise<void> {
    const size = Math.max(target.sizeBytes, targetStartBytes + lengthBytes)
    if (target instanceof HollowContent) target.truncate(size)
  }
  async discard(): Promise<void> {}
  async flush(): Promise<void> {}

  async flushAll(): Promise<void> {}
}

export class FuzzKernel implements ReplyLink {
  readonly area = new ArrayBuffer(REPLY_BYTES + SLOT_COUNT * SLOT_BYTES)
  readonly replyBytes = REPLY_BYTES
  readonly #bytes = Buffer.from(this.area)
  readonly #dispatcher: Dispatcher
  /** unique numbers of requests that wait for an answer */
  readonly #waiting = new Set<number>()
  readonly #busySlots = new Set<number>()
  #unique = 0
  /** the first thing that went wrong in another way than it may */
  finding: Error | undefined

  constructor(filesystem: FuseFilesystem) {
    this.#dispatcher = new Dispatcher(this.#watched(filesystem), this, () => undefined)
  }

  send(opcode: number, node: number, args: Uint8Array): void {
    const slot = Array.from({ length: SLOT_COUNT }, (_, index) => index).find(
      index => !this.#busySlots.has(index),
    )
    // Requests whose data waits; the next ones come when they are answered.
    if (slot === undefined) return
    const offset = REPLY_BYTES + slot * SLOT_BYTES
    const length = IN_HEADER_BYTES + args.length
    const header = new DataView(this.area, offset, IN_HEADER_BYTES)
    this.#unique += 1
    header.setUint32(0, length, true)
    header.setUint32(4, opcode, true)
    header.setBigUint64(8, BigInt(this.#unique), true)
    header.setBigUint64(16, BigInt(node), true)
    header.setUint32(24, 1000, true)
    header.setUint32(28, 1000, true)
    header.setUint32(32, 77, true)
    this.#bytes.set(args, offset + IN_HEADER_BYTES)
    this.#busySlots.add(slot)
    if (!UNANSWERED.has(opcode)) this.#waiting.add(this.#unique)
    this.#dispatcher.arrived(performance.now())
    if (this.#dispatcher.handle(slot, offset, length)) this.releaseSlot(slot)
  }

  /** Until everything is answered. @throws the finding */
  async settle(): Promise<void> {
    for (let turns = 0; turns < TURNS_MAX && this.#waiting.size > 0; turns++) await turn()
    if (this.finding === undefined && this.#waiting.size > 0) {
      this.finding = new Error(`${this.#waiting.size} requests have no answer`)
    }
    if (this.finding === undefined && this.#busySlots.size > 0) {
      this.finding = new Error(`${this.#busySlots.size} slots were not given back`)
    }
    if (this.finding !== undefined) throw this.finding
  }

  reply(length: number): number {
    this.#take(length, length)
    return 0
  }

  replyPieces(_id: number, pieces: readonly Uint8Array[]): boolean {
    this.#take(
      OUT_HEADER_BYTES,
      pieces.reduce((sum, piece) => sum + piece.length, OUT_HEADER_BYTES),
    )
    return true
  }

  releaseSlot(slot: number): void {
    if (!this.#busySlots.delete(slot)) this.#found(new Error('a slot was given back twice'))
  }

  #take(written: number, stated: number): void {
    const header = new DataView(this.area, 0, OUT_HEADER_BYTES)
    const unique = Number(header.getBigUint64(8, true))
    if (
      written < OUT_HEADER_BYTES ||
      written > REPLY_BYTES ||
      header.getUint32(0, true) !== stated
    ) {
      this.#found(new Error('a reply of a wrong length'))
    }
    if (!this.#waiting.delete(unique)) this.#found(new Error(`an answer to nobody (${unique})`))
    // Nothing here can fail to be read or written.
    if (-header.getInt32(4, true) === EIO) this.#found(new Error('EIO, for a mistake of ours'))
  }

  #found(error: Error): void {
    this.finding ??= error
  }

  /** What the filesystem throws becomes an errno that tells little: here it is seen. */
  #watched(filesystem: FuseFilesystem): FuseFilesystem {
    const check = (error: unknown): never => {
      if (!(error instanceof CofferError)) {
        this.#found(error instanceof Error ? error : new Error(String(error)))
      } else if (error instanceof FilesystemError && errnoNumber(error.code) === undefined) {
        this.#found(new Error(`an errno that Linux doesn't know: ${error.code}`, { cause: error }))
      }
      throw error
    }
    return new Proxy(filesystem, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        return (...args: unknown[]): unknown => {
          try {
            const result: unknown = value.apply(target, args)
            return result instanceof Promise ? result.catch(check) : result
          } catch (error) {
            return check(error)
          }
        }
      },
    })
  }
}
