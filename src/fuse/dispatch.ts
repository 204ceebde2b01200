// Takes requests to the filesystem and its answers back to the kernel. What is answered at once is written at once.

import createDebug from 'debug'
import { FilesystemError } from '../errors.ts'
import type { FuseSession } from '../native/fuse-device.ts'
import { Client, Clients } from './clients.ts'
import { Completions } from './completions.ts'
import { RequestReader } from './decode.ts'
import { ReplyWriter } from './encode.ts'
import { errnoNumber, errnoOf } from './errno.ts'
import type { FuseFilesystem, ReadResult } from './filesystem.ts'
import { runForget } from './forgets.ts'
import { agree, encodeAgreement, WRITE_BYTES_MAX, type Agreement } from './init.ts'
import { Latencies } from './latencies.ts'
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

/** What answering takes, once the memory of the request is used again. */
interface Ticket {
  readonly uniqueLow: number
  readonly uniqueHigh: number
  readonly opcode: number
  readonly arrivedMs: number
  readonly client: Client
}

/** What the kernel sends on its own behalf, whoever made it do so. */
const OF_NOBODY: ReadonlySet<number> = new Set([
  Opcode.FORGET,
  Opcode.BATCH_FORGET,
  Opcode.INTERRUPT,
  Opcode.INIT,
  Opcode.DESTROY,
])
const NOBODY = new Client(0, 0)
/** What has no reply. */
const UNANSWERED: ReadonlySet<number> = new Set([
  Opcode.FORGET,
  Opcode.BATCH_FORGET,
  Opcode.INTERRUPT,
])

export class Dispatcher {
  readonly #filesystem: FuseFilesystem
  readonly #link: ReplyLink
  readonly #onInit: InitHandler
  readonly #request: RequestReader
  /** requests that are not answered yet */
  #waitingCount = 0
  readonly completions = new Completions()
  readonly reply: ReplyWriter
  /** requests by opcode */
  readonly counts = new Float64Array(OPCODE_LIMIT)
  readonly latencies = new Latencies()
  readonly clients = new Clients()
  #arrivedMs = performance.now()
  bytesRead = 0
  bytesWritten = 0

  constructor(filesystem: FuseFilesystem, link: ReplyLink, onInit: InitHandler) {
    this.#filesystem = filesystem
    this.#link = link
    this.#onInit = onInit
    this.#request = new RequestReader(link.area)
    this.reply = new ReplyWriter(link.area, link.replyBytes)
  }

  /** Requests that wait for their answer. */
  get waitingCount(): number {
    return this.#waitingCount
  }

  /** The requests that follow have come just now. One look at the clock does for all of a batch. */
  arrived(nowMs: number): void {
    this.#arrivedMs = nowMs
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
    const { opcode, uniqueLow, uniqueHigh } = request
    const arrivedMs = this.#arrivedMs
    const client = OF_NOBODY.has(opcode)
      ? NOBODY
      : this.clients.request(request.pid, request.uid, arrivedMs)
    const ticket = { uniqueLow, uniqueHigh, opcode, arrivedMs, client }
    if (!UNANSWERED.has(opcode)) this.#waitingCount += 1
    if (opcode < OPCODE_LIMIT) this.counts[opcode] = (this.counts[opcode] ?? 0) + 1
    if (log.enabled) log('%s node %d, %d bytes', opcodeName(opcode), request.node, length)
    try {
      switch (opcode) {
        case Opcode.WRITE:
          return this.#write(ticket, request, slot)
        case Opcode.READ:
          this.#read(ticket, request)
          return true
        case Opcode.FORGET:
        case Opcode.BATCH_FORGET:
          runForget(this.#filesystem, request)
          return true
        case Opcode.INTERRUPT:
          // Operations are short, and a kernel that waits for a killed program's request gets its answer.
          return true
        case Opcode.INIT:
          this.#init(ticket, request)
          return true
        case Opcode.DESTROY:
          this.#finish(ticket, undefined, undefined, 0)
          return true
        default:
          this.#run(ticket, operations[opcode], request)
          return true
      }
    } catch (error) {
      this.#fail(ticket, error)
      return true
    }
  }

  #run(ticket: Ticket, operation: Operation | undefined, request: RequestReader): void {
    if (operation === undefined) {
      this.#error(ticket, ENOSYS)
      return
    }
    if (request.length < operation.argumentBytes) {
      this.#error(ticket, EINVAL)
      return
    }
    const result = operation.run(this.#filesystem, request)
    const { argument } = request
    if (result instanceof Promise) {
      result.then(
        value => this.#finish(ticket, operation, value, argument),
        (error: unknown) => this.#fail(ticket, error),
      )
      return
    }
    this.#finish(ticket, operation, result, argument)
  }

  /** Encodes and sends. Called from promises too, so it must not throw. */
  #finish(
    ticket: Ticket,
    operation: Operation | undefined,
    value: unknown,
    argument: number,
  ): void {
    let length = OUT_HEADER_BYTES
    let failure: unknown
    try {
      if (operation?.encode !== undefined) {
        length = operation.encode(this.reply, value, argument, this.#filesystem)
      }
      if (this.#reply(ticket, 0, length) === 0) return
    } catch (error) {
      failure = error
    }
    if (failure !== undefined) this.#fail(ticket, failure)
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

  #fail(ticket: Ticket, error: unknown): void {
    this.#error(ticket, errnoOf(error))
  }

  #error(ticket: Ticket, errno: number): void {
    this.#reply(ticket, errno, OUT_HEADER_BYTES)
  }

  /** @returns an errno when the kernel doesn't want the reply, or 0 */
  #reply(ticket: Ticket, errno: number, length: number): number {
    this.reply.header(ticket.uniqueLow, ticket.uniqueHigh, errno, length)
    const refusal = this.#link.reply(length)
    this.#answered(ticket)
    return refusal
  }

  #answered({ opcode, arrivedMs }: Ticket): void {
    this.latencies.record(opcode, performance.now() - arrivedMs)
    this.#waitingCount -= 1
  }

  // ---- data ----

  #read(ticket: Ticket, request: RequestReader): void {
    if (request.length < READ_IN_BYTES) throw new FilesystemError('EINVAL')
    const sizeBytes = request.u32(16)
    if (sizeBytes > WRITE_BYTES_MAX) throw new FilesystemError('EINVAL')
    const result = this.#filesystem.read(request.u64(0), request.u64(8), sizeBytes)
    if (result instanceof Promise) {
      result.then(
        value => this.#sendData(ticket, value, sizeBytes),
        (error: unknown) => this.#fail(ticket, error),
      )
      return
    }
    this.#sendData(ticket, result, sizeBytes)
  }

  #sendData(ticket: Ticket, result: ReadResult, sizeBytes: number): void {
    let id: number | undefined
    try {
      id = this.completions.hold(result)
      let total = 0
      for (const piece of result.pieces) total += piece.length
      if (total > sizeBytes) throw new Error(`a read of ${sizeBytes} bytes gave ${total}`)
      this.reply.header(ticket.uniqueLow, ticket.uniqueHigh, 0, OUT_HEADER_BYTES + total)
      this.bytesRead += total
      ticket.client.bytesRead += total
      const isWritten = this.#link.replyPieces(id, result.pieces)
      this.#answered(ticket)
      if (!isWritten) return
    } catch (error) {
      this.#fail(ticket, error)
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
  #write(ticket: Ticket, request: RequestReader, slot: number): boolean {
    if (request.length < WRITE_IN_BYTES) throw new FilesystemError('EINVAL')
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
      this.#wrote(ticket, result)
      return true
    }
    result.then(
      count => {
        this.#link.releaseSlot(slot)
        this.#wrote(ticket, count)
      },
      (error: unknown) => {
        this.#link.releaseSlot(slot)
        this.#fail(ticket, error)
      },
    )
    return false
  }

  #wrote(ticket: Ticket, count: number): void {
    this.bytesWritten += count
    ticket.client.bytesWritten += count
    this.reply.u32(OUT_HEADER_BYTES, count)
    this.reply.u32(OUT_HEADER_BYTES + 4, 0)
    this.#reply(ticket, 0, OUT_HEADER_BYTES + 8)
  }

  // ---- the session ----

  #init(ticket: Ticket, request: RequestReader): void {
    if (request.length < INIT_IN_BYTES) throw new FilesystemError('EINVAL')
    const agreement = agree(request)
    if (agreement === undefined) {
      this.#error(ticket, EPROTO)
      this.#onInit(undefined)
      return
    }
    if ((agreement.flags & InitFlag.SETXATTR_EXT) !== 0) request.setxattrBytes = SETXATTR_IN_BYTES
    request.mayRefuseOpendir = (agreement.flags & InitFlag.NO_OPENDIR_SUPPORT) !== 0
    const length = encodeAgreement(this.reply, agreement)
    this.#reply(ticket, 0, length)
    if (agreement.major === KERNEL_MAJOR) this.#onInit(agreement)
  }
}
