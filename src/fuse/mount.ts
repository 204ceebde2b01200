// One mount: joins the device's session and the dispatcher, and ends them in order.

import { setTimeout as delay } from 'node:timers/promises'
import createDebug from 'debug'
import { openFuseSession, unmountFuse, type FuseSession } from '../native/fuse-device.ts'
import type { Client } from './clients.ts'
import { Dispatcher } from './dispatch.ts'
import type { ByteString, FuseFilesystem, InodeNumber } from './filesystem.ts'
import type { Agreement } from './init.ts'
import { asMountError, FORCED_GRACE_MILLISECONDS, MountError } from './mount-point.ts'
import { Notification, opcodeName, OUT_HEADER_BYTES } from './protocol.ts'
import type { FuseMount, MountStatistics } from './transport.ts'
import { Wakefulness, type IdleProcessors } from './wakefulness.ts'

const log = createDebug('coffer:fuse')

export interface SessionOptions {
  readonly slotCount: number
  readonly readerCount: number
  /** undefined: they sleep when they like */
  readonly idleProcessors?: IdleProcessors | undefined
}

export class ServedMount implements FuseMount {
  readonly mountPoint: string
  readonly transport = 'device'
  readonly closed: Promise<void>
  /** settles when the kernel and we have agreed, rejects when we can't */
  readonly ready: Promise<Agreement>
  readonly #session: FuseSession
  readonly #dispatcher: Dispatcher
  readonly #batch: Uint32Array
  readonly #wakefulness: Wakefulness | undefined
  #hasClosed = false
  #onReady: (agreement: Agreement) => void = () => undefined
  #onRefused: (error: Error) => void = () => undefined
  #onClosed: () => void = () => undefined

  /** Starts serving at once: requests wait already. */
  constructor(
    mountPoint: string,
    descriptor: number,
    filesystem: FuseFilesystem,
    options: SessionOptions,
  ) {
    this.mountPoint = mountPoint
    const { idleProcessors } = options
    this.#wakefulness = idleProcessors && new Wakefulness(idleProcessors)
    this.closed = new Promise(resolve => {
      this.#onClosed = resolve
    })
    this.ready = new Promise((resolve, reject) => {
      this.#onReady = resolve
      this.#onRefused = reject
    })
    const session = openFuseSession(
      descriptor,
      options.slotCount,
      options.readerCount,
      (requests, completions, closed) => this.#handleBatch(requests, completions, closed),
    )
    this.#session = session
    this.#batch = new Uint32Array(
      session.area,
      session.batchOffset,
      (session.firstRequestOffset - session.batchOffset) >>> 2,
    )
    this.#dispatcher = new Dispatcher(filesystem, session, agreement => this.#agreed(agreement))
  }

  get statistics(): MountStatistics {
    const requestsByOpcode: Record<string, number> = {}
    let requests = 0
    for (const [opcode, count] of this.#dispatcher.counts.entries()) {
      if (count === 0) continue
      requests += count
      requestsByOpcode[opcodeName(opcode)] = count
    }
    const { bytesRead, bytesWritten, latencies, completions } = this.#dispatcher
    const { waitingCount: requestsWaiting } = this.#dispatcher
    const repliesInFlight = completions.size
    return {
      requests,
      bytesRead,
      bytesWritten,
      requestsByOpcode,
      latencies,
      repliesInFlight,
      requestsWaiting,
    }
  }

  clients(): readonly Readonly<Client>[] {
    return this.#dispatcher.clients.list()
  }

  async unmount(options: { readonly force?: boolean } = {}): Promise<void> {
    if (this.#hasClosed) return
    const force = options.force ?? false
    try {
      await unmountFuse(this.mountPoint, force)
    } catch (error) {
      // Somebody else was quicker, e.g. `umount`: the end is under way.
      const failure = asMountError(error)
      if (this.#isClosed()) return
      if (!force) throw failure
      log('%s: %s; ending the session all the same', this.mountPoint, failure.message)
      this.#session.close()
    }
    if (force) {
      const patience = new AbortController()
      const grace = delay(FORCED_GRACE_MILLISECONDS, undefined, { signal: patience.signal })
      await Promise.race([this.closed, grace.catch(() => undefined)])
      patience.abort()
      if (!this.#isClosed()) this.#session.close()
    }
    await this.closed
  }

  /** Ends the session without unmounting: for a mount that never came to life. */
  close(): void {
    this.#session.close()
  }

  invalidateEntry(parent: InodeNumber, name: ByteString): Promise<void> {
    return this.#notify(Notification.INVALIDATE_ENTRY, body => {
      const { reply } = this.#dispatcher
      reply.u64(body, parent)
      reply.u32(body + 8, name.length)
      reply.u32(body + 12, 0)
      return reply.terminated(body + 16, name)
    })
  }

  invalidateInode(inode: InodeNumber): Promise<void> {
    return this.#notify(Notification.INVALIDATE_INODE, body => {
      const { reply } = this.#dispatcher
      reply.u64(body, inode)
      // From 0 to the end, which a length of 0 stands for.
      reply.u64(body + 8, 0)
      reply.u64(body + 16, 0)
      return body + 24
    })
  }

  notifyDelete(parent: InodeNumber, inode: InodeNumber, name: ByteString): Promise<void> {
    return this.#notify(Notification.DELETE, body => {
      const { reply } = this.#dispatcher
      reply.u64(body, parent)
      reply.u64(body + 8, inode)
      reply.u32(body + 16, name.length)
      reply.u32(body + 20, 0)
      return reply.terminated(body + 24, name)
    })
  }

  #notify(code: number, encode: (body: number) => number): Promise<void> {
    if (this.#hasClosed) return Promise.resolve()
    return new Promise(resolve => {
      const { completions, reply } = this.#dispatcher
      const length = encode(OUT_HEADER_BYTES)
      // A notification is a reply without a request, whose positive "error" says which it is.
      reply.header(0, 0, -code, length)
      const id = completions.hold({ release: resolve })
      if (this.#session.notify(id, length)) completions.complete(id)
    })
  }

  #isClosed(): boolean {
    return this.#hasClosed
  }

  #agreed(agreement: Agreement | undefined): void {
    if (agreement !== undefined) {
      if (log.enabled) log('%s: protocol 7.%d, %O', this.mountPoint, agreement.minor, agreement)
      this.#onReady(agreement)
      return
    }
    this.#onRefused(new MountError('FUSE_TOO_OLD', 'The kernel is too old: Linux 5.4 is needed.'))
  }

  #handleBatch(requests: number, completions: number, closed: boolean): number {
    const batch = this.#batch
    const dispatcher = this.#dispatcher
    const { firstRequestOffset, slotStride, completionsIndex } = this.#session
    let done = 0
    const nowMs = performance.now()
    dispatcher.arrived(nowMs)
    if (requests > 0) this.#wakefulness?.asked(nowMs)
    for (let index = 0; index < requests; index += 1) {
      const slot = batch[2 * index] ?? 0
      const length = batch[2 * index + 1] ?? 0
      if (dispatcher.handle(slot, firstRequestOffset + slot * slotStride, length)) {
        // Never ahead of what is still to be read: one word per request against two.
        batch[done] = slot
        done += 1
      }
    }
    for (let index = 0; index < completions; index += 1) {
      dispatcher.complete(batch[completionsIndex + index] ?? 0)
    }
    if (closed) this.#end()
    return done
  }

  #end(): void {
    this.#hasClosed = true
    this.#wakefulness?.close()
    if (log.enabled) log('%s: closed', this.mountPoint)
    this.#onRefused(new MountError('MOUNT_CLOSED', 'The mount was closed before it was ready.'))
    this.#onClosed()
  }
}
