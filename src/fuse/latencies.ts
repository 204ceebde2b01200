// Latencies of the mount's operations, by family: fine enough to tell a slow disk from a slow directory.

import { LatencyHistogram } from './latency-histogram.ts'
import { OPCODE_LIMIT, Opcode } from './protocol.ts'

export const operationFamilies = ['read', 'write', 'fsync', 'create', 'lookup', 'other'] as const

export type OperationFamily = (typeof operationFamilies)[number]

const FAMILY_OPCODES: Readonly<Record<Exclude<OperationFamily, 'other'>, readonly number[]>> = {
  read: [Opcode.READ],
  write: [Opcode.WRITE],
  fsync: [Opcode.FSYNC, Opcode.FSYNCDIR],
  create: [Opcode.CREATE, Opcode.MKNOD, Opcode.MKDIR, Opcode.SYMLINK, Opcode.LINK, Opcode.TMPFILE],
  lookup: [Opcode.LOOKUP],
}

/** From the arrival of a request to its reply, errors included. */
export class Latencies {
  readonly read = new LatencyHistogram()
  readonly write = new LatencyHistogram()
  readonly fsync = new LatencyHistogram()
  readonly create = new LatencyHistogram()
  readonly lookup = new LatencyHistogram()
  readonly other = new LatencyHistogram()
  readonly #byOpcode = Array.from({ length: OPCODE_LIMIT }, () => this.other)

  constructor() {
    for (const family of operationFamilies) {
      if (family === 'other') continue
      for (const opcode of FAMILY_OPCODES[family]) this.#byOpcode[opcode] = this[family]
    }
  }

  record(opcode: number, milliseconds: number): void {
    const histogram = this.#byOpcode[opcode] ?? this.other
    histogram.record(milliseconds)
  }
}
