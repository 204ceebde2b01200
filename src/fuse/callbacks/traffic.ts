// Carries out callbacks: counts and times them as the device's dispatcher does its requests, and turns failures into errnos.

import { FilesystemError } from '../../errors.ts'
import { Clients, type Client } from '../clients.ts'
import { errnoOf } from '../errno.ts'
import type { Caller } from '../filesystem.ts'
import { Latencies } from '../latencies.ts'
import { OPCODE_LIMIT, opcodeName } from '../protocol.ts'
import type { MountStatistics } from '../transport.ts'

export class Traffic {
  readonly clients = new Clients()
  readonly #counts = new Float64Array(OPCODE_LIMIT)
  readonly #latencies = new Latencies()
  #waitingCount = 0
  #bytesRead = 0
  #bytesWritten = 0
  #hasEnded = false

  /** Whatever still comes is refused: the store is about to be closed. */
  end(): void {
    this.#hasEnded = true
  }

  get statistics(): MountStatistics {
    const requestsByOpcode: Record<string, number> = {}
    let requests = 0
    for (const [opcode, count] of this.#counts.entries()) {
      if (count === 0) continue
      requests += count
      requestsByOpcode[opcodeName(opcode)] = count
    }
    return {
      requests,
      bytesRead: this.#bytesRead,
      bytesWritten: this.#bytesWritten,
      requestsByOpcode,
      latencies: this.#latencies,
      // Replies are the package's business as soon as they are given.
      repliesInFlight: 0,
      requestsWaiting: this.#waitingCount,
    }
  }

  /**
   * Does `work` and gives `reply` 0 and its result, or a negative errno. Never throws.
   * @param opcode as what it is counted: the request that the kernel has sent, or the nearest
   */
  run<T>(
    opcode: number,
    caller: Caller,
    work: () => Promise<T>,
    reply: (error: number, value?: T) => void,
  ): void {
    this.#run(opcode, this.#arrived(opcode, caller), work, reply)
  }

  /** As `run` for what moves data: the reply is the number of bytes. */
  runTransfer(
    opcode: number,
    caller: Caller,
    direction: 'read' | 'write',
    work: () => Promise<number>,
    reply: (result: number) => void,
  ): void {
    const client = this.#arrived(opcode, caller)
    this.#run(opcode, client, work, (error, bytes = 0) => {
      if (direction === 'read') {
        this.#bytesRead += bytes
        client.bytesRead += bytes
      } else {
        this.#bytesWritten += bytes
        client.bytesWritten += bytes
      }
      reply(error === 0 ? bytes : error)
    })
  }

  #run<T>(
    opcode: number,
    client: Client,
    work: () => Promise<T>,
    reply: (error: number, value?: T) => void,
  ): void {
    const arrivedMs = client.lastMs
    this.#do(work).then(
      value => {
        this.#answered(opcode, arrivedMs)
        reply(0, value)
      },
      (error: unknown) => {
        this.#answered(opcode, arrivedMs)
        reply(-errnoOf(error))
      },
    )
  }

  async #do<T>(work: () => Promise<T>): Promise<T> {
    if (this.#hasEnded) throw new FilesystemError('ENOTCONN')
    return work()
  }

  #arrived(opcode: number, { pid, uid }: Caller): Client {
    this.#waitingCount += 1
    this.#counts[opcode] = (this.#counts[opcode] ?? 0) + 1
    return this.clients.request(pid, uid, performance.now())
  }

  #answered(opcode: number, arrivedMs: number): void {
    this.#waitingCount -= 1
    this.#latencies.record(opcode, performance.now() - arrivedMs)
  }
}
