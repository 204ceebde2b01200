// Takes requests to the filesystem and its answers back to the kernel. What is answered at once is written at once.

import createDebug from 'debug'
import { FilesystemError } from '../errors.ts'
import type { FuseSession } from '../native/fuse-device.ts'
import { Completions } from './completions.ts'
import { RequestReader } from './decode.ts'
import { ReplyWriter } from './encode.ts'
import { errnoNumber, errnoOf } from './errno.ts'
import type { FuseFilesystem, ReadResult } from './filesystem.ts'
import { agree, encodeAgreement, WRITE_BYTES_MAX, type Agreement } from './init.ts'
import { operations, type Operation } from './operations.ts'
import {
  InitFlag,
  KERNEL_MAJOR,
  OPCODE_LIMIT,
  Opcode,
  opcodeName,
  OUT_HEADER_BYTES,
  SETXATTR_IN_BYTES,
  WRITE_KILL_SUIDGID,
} from './protocol.ts'

const log = createDebug('coffer:fuse')

const ENOSYS = errnoNumber('ENOSYS') ?? 0
const EINVAL = errnoNumber('EINVAL') ?? 0
const EPROTO = errnoNumber('EPROTO') ?? 0

const READ_IN_BYTES = 40
const WRITE_IN_BYTES = 40
const INIT_IN_BYTES = 16

/** What the dispatcher needs of a session: tests give it a false one. */
export type ReplyLink = Pick<
  FuseSession,
  'area' | 'replyBytes' | 'reply' | 'replyPieces' | 'releaseSlot'
>

/** Hears of the agreement with the kernel; `undefined` = it is too old. */
export type InitHandler = (agreement: Agreement | undefined) => void

export class Dispatcher {
  readonly #filesystem: FuseFilesystem
  readonly #link: ReplyLink
  readonly #onInit: InitHandler
  readonly #request: RequestReader
  readonly completions = new Completions()
  readonly reply: ReplyWriter
  /** requests by opcode */
  readonly counts = new Float64Array(OPCODE_LIMIT)
  bytesRead = 0
  bytesWritten = 0

  constructor(filesystem: FuseFilesystem, link: ReplyLink, onInit: InitHandler) {
    this.#filesystem = filesystem
    this.#link = link
    this.#onInit = onInit
    this.#request = new RequestReader(link.area)
    this.reply = new ReplyWriter(link.area, link.replyBytes)
  }

  /**
   * Carries out the request at `offset` of the area. Never throws.
   * @returns false when the request's slot is still needed: it is given back through the link later
   */
  handle(slot: number, offset: number, length: number): boolean {
    const request = this.#request
    if (!request.seek(offset, length)) {
      log('the kernel sent %d bytes that are no request', length)
      return true
    }
    const { opcode } = request
    if (opcode < OPCODE_LIMIT) this.counts[opcode] = (this.counts[opcode] ?? 0) + 1
    if (log.enabled) log('%s node %d, %d bytes', opcodeName(opcode), request.node, length)
    try {
      switch (opcode) {
        case Opcode.WRITE:
          return this.#write(request, slot)
        case Opcode.READ:
          this.#read(request)
          return true
        case Opcode.FORGET:
        case Opcode.BATCH_FORGET:
          this.#forget(request)
          return true
        case Opcode.INTERRUPT:
          // Operations are short, and a kernel that waits for a killed program's request gets its answer.
          return true
        case Opcode.INIT:
          this.#init(request)
          return true
        case Opcode.DESTROY:
          this.#finish(undefined, request.uniqueLow, request.uniqueHigh, undefined, 0)
          return true
        default:
          this.#run(operations[opcode], request)
          return true
      }
    } catch (error) {
      this.#fail(request.uniqueLow, request.uniqueHigh, error)
      return true
    }
  }

  #run(operation: Operation | undefined, request: RequestReader): void {
    const { uniqueLow, uniqueHigh } = request
    if (operation === undefined) {
      this.#error(uniqueLow, uniqueHigh, ENOSYS)
      return
    }
    if (request.length < operation.argumentBytes) {
      this.#error(uniqueLow, uniqueHigh, EINVAL)
      return
    }
    const result = operation.run(this.#filesystem, request)
    const { argument } = request
    if (result instanceof Promise) {
      result.then(
        value => this.#finish(operation, uniqueLow, uniqueHigh, value, argument),
        (error: unknown) => this.#fail(uniqueLow, uniqueHigh, error),
      )
      return
    }
    this.#finish(operation, uniqueLow, uniqueHigh, result, argument)
  }

  /** Encodes and sends. Called from promises too, so it must not throw. */
  #finish(
    operation: Operation | undefined,
    uniqueLow: number,
    uniqueHigh: number,
    value: unknown,
    argument: number,
  ): void {
    let length = OUT_HEADER_BYTES
    let failure: unknown
    try {
      if (operation?.encode !== undefined) {
        length = operation.encode(this.reply, value, argument, this.#filesystem)
      }
      this.reply.header(uniqueLow, uniqueHigh, 0, length)
      if (this.#link.reply(length) === 0) return
    } catch (error) {
      failure = error
    }
    if (failure !== undefined) this.#fail(uniqueLow, uniqueHigh, failure)
    this.#undo(operation, value)
  }

  #undo(operation: Operation | undefined, value: unknown): void {
    const ignore = (error: unknown): void => log('taking an unheard reply back failed: %O', error)
    try {
      const undone = operation?.undo?.(this.#filesystem, value)
      if (undone instanceof Promise) undone.catch(ignore)
    } catch (error) {
      ignore(error)
    }
  }

  #fail(uniqueLow: number, uniqueHigh: number, error: unknown): void {
    this.#error(uniqueLow, uniqueHigh, errnoOf(error))
  }

  #error(uniqueLow: number, uniqueHigh: number, errno: number): void {
    this.reply.header(uniqueLow, uniqueHigh, errno, OUT_HEADER_BYTES)
    this.#link.reply(OUT_HEADER_BYTES)
  }

  // ---- data ----

  #read(request: RequestReader): void {
    if (request.length < READ_IN_BYTES) throw new FilesystemError('EINVAL')
    const { uniqueLow, uniqueHigh } = request
    const sizeBytes = request.u32(16)
    if (sizeBytes > WRITE_BYTES_MAX) throw new FilesystemError('EINVAL')
    const result = this.#filesystem.read(request.u64(0), request.u64(8), sizeBytes)
    if (result instanceof Promise) {
      result.then(
        value => this.#sendData(uniqueLow, uniqueHigh, value, sizeBytes),
        (error: unknown) => this.#fail(uniqueLow, uniqueHigh, error),
      )
      return
    }
    this.#sendData(uniqueLow, uniqueHigh, result, sizeBytes)
  }

  #sendData(uniqueLow: number, uniqueHigh: number, result: ReadResult, sizeBytes: number): void {
    let id: number | undefined
    try {
      id = this.completions.hold(result)
      let total = 0
      for (const piece of result.pieces) total += piece.length
      if (total > sizeBytes) throw new Error(`a read of ${sizeBytes} bytes gave ${total}`)
      this.reply.header(uniqueLow, uniqueHigh, 0, OUT_HEADER_BYTES + total)
      this.bytesRead += total
      if (!this.#link.replyPieces(id, result.pieces)) return
    } catch (error) {
      this.#fail(uniqueLow, uniqueHigh, error)
    }
    if (id !== undefined) this.complete(id)
  }

  /** The device's threads are done with what was held as `id`. Never throws. */
  complete(id: number): void {
    try {
      this.completions.complete(id)
    } catch (error) {
      log('releasing a reply failed: %O', error)
    }
  }

  /** @returns false when the slot is still needed, as the data lies in it */
  #write(request: RequestReader, slot: number): boolean {
    if (request.length < WRITE_IN_BYTES) throw new FilesystemError('EINVAL')
    const { uniqueLow, uniqueHigh } = request
    const sizeBytes = request.u32(16)
    const result = this.#filesystem.write(
      request.u64(0),
      request.u64(8, 'EFBIG'),
      request.data(WRITE_IN_BYTES, sizeBytes),
      {
        killPrivileges: (request.u32(20) & WRITE_KILL_SUIDGID) !== 0,
        flags: request.u32(32),
      },
    )
    if (!(result instanceof Promise)) {
      this.#wrote(uniqueLow, uniqueHigh, result)
      return true
    }
    result.then(
      count => {
        this.#link.releaseSlot(slot)
        this.#wrote(uniqueLow, uniqueHigh, count)
      },
      (error: unknown) => {
        this.#link.releaseSlot(slot)
        this.#fail(uniqueLow, uniqueHigh, error)
      },
    )
    return false
  }

  #wrote(uniqueLow: number, uniqueHigh: number, count: number): void {
    this.bytesWritten += count
    this.reply.u32(OUT_HEADER_BYTES, count)
    this.reply.u32(OUT_HEADER_BYTES + 4, 0)
    this.reply.header(uniqueLow, uniqueHigh, 0, OUT_HEADER_BYTES + 8)
    this.#link.reply(OUT_HEADER_BYTES + 8)
  }

  // ---- the session ----

  /** Has no reply, whatever happens. */
  #forget(request: RequestReader): void {
    try {
      if (request.opcode === Opcode.FORGET) {
        if (request.length < 8) throw new FilesystemError('EINVAL')
        this.#filesystem.forget(request.node, request.u64(0))
        return
      }
      if (request.length < 8) throw new FilesystemError('EINVAL')
      const end = 8 + request.u32(0) * 16
      if (request.length < end) throw new FilesystemError('EINVAL')
      for (let offset = 8; offset < end; offset += 16) {
        this.#filesystem.forget(request.u64(offset), request.u64(offset + 8))
      }
    } catch (error) {
      log('a forget failed: %O', error)
    }
  }

  #init(request: RequestReader): void {
    const { uniqueLow, uniqueHigh } = request
    if (request.length < INIT_IN_BYTES) throw new FilesystemError('EINVAL')
    const agreement = agree(request)
    if (agreement === undefined) {
      this.#error(uniqueLow, uniqueHigh, EPROTO)
      this.#onInit(undefined)
      return
    }
    if ((agreement.flags & InitFlag.SETXATTR_EXT) !== 0) request.setxattrBytes = SETXATTR_IN_BYTES
    const length = encodeAgreement(this.reply, agreement)
    this.reply.header(uniqueLow, uniqueHigh, 0, length)
    this.#link.reply(length)
    if (agreement.major === KERNEL_MAJOR) this.#onInit(agreement)
  }
}
