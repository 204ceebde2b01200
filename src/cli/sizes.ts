// Sizes as people write and read them.

import { UsageError } from './exit-codes.ts'

const binaryUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

const KIBI = 1024
const KILO = 1000

/** Bytes per unit. `K`, `M`, … alone are left out: half of the world reads them as 1000. */
const bytesPerUnit = new Map<string, number>([
  ['', 1],
  ...binaryUnits.map((unit, power): [string, number] => [unit.toLowerCase(), KIBI ** power]),
  ...['kb', 'mb', 'gb', 'tb', 'pb'].map((unit, i): [string, number] => [unit, KILO ** (i + 1)]),
])

/**
 * Bytes of `100GiB`, `1.5 TB`, `4096`. Units ignore case.
 * @throws UsageError for anything else: a unit is never guessed
 */
export function parseSize(text: string): number {
  const [, digits, unit] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text) ?? []
  if (digits === undefined) {
    throw new UsageError(`${JSON.stringify(text)} is not a size; write for example 64KiB or 1TB.`)
  }
  const factor = bytesPerUnit.get((unit ?? '').toLowerCase())
  if (factor === undefined) {
    const known = 'B, KiB, MiB, GiB, TiB, PiB, KB, MB, GB, TB, PB'
    throw new UsageError(`${JSON.stringify(unit)} is not a unit of size; known are ${known}.`)
  }
  const bytes = Number(digits) * factor
  if (!Number.isInteger(bytes)) throw new UsageError(`${text} is not a whole number of bytes.`)
  if (!Number.isSafeInteger(bytes)) throw new UsageError(`${text} is too large.`)
  return bytes
}

/** `1.50 GiB`: two decimals, as the savings percentages have. */
export function formatSize(bytes: number): string {
  let value = bytes
  let power = 0
  // 1023.995 would be printed as 1024.00 of the smaller unit.
  while (Math.abs(value) >= KIBI - 0.005 && power < binaryUnits.length - 1) {
    value /= KIBI
    power += 1
  }
  return `${power === 0 ? value : value.toFixed(2)} ${binaryUnits[power] ?? ''}`
}
