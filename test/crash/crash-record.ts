// What a writer has been promised, kept outside of the disk whose power is cut: for each name all that it ever held, and
// which of that is durable.

import { contentOf } from '../helpers/open-store.ts'

/** What a name holds from some moment on. */
export interface Version {
  /** undefined: there is no such file */
  readonly content?: { readonly seed: number; readonly lengthBytes: number }
  /** if it isn't durable, a beginning of at least so many bytes may be found */
  readonly bytesMin: number
  /** it has no file because that was renamed: there it must be */
  readonly movedTo?: { readonly name: string; readonly index: number }
}

const TEXT_BYTES_MAX = 100

export const ABSENT: Version = { bytesMin: 0 }

export class PowerCutRecord {
  readonly #versions = new Map<string, Version[]>()
  readonly #durable = new Map<string, number>()

  /** Written down before the change begins. @returns the number of the version */
  begin(name: string, version: Version): number {
    const versions = this.#versions.get(name) ?? [ABSENT]
    this.#versions.set(name, versions)
    return versions.push(version) - 1
  }

  /** Written down after an fsync was answered. */
  promise(name: string, index: number): void {
    this.#durable.set(name, Math.max(index, this.#durable.get(name) ?? 0))
  }

  latest(name: string): Version {
    return this.#versions.get(name)?.at(-1) ?? ABSENT
  }

  nextIndex(name: string): number {
    return this.#versions.get(name)?.length ?? 1
  }

  isDurable(name: string): boolean {
    return (this.#durable.get(name) ?? 0) === this.nextIndex(name) - 1
  }

  /** Call it before a cut; the result knows what may be found if it ended by the time of `end`. */
  beginCut(): { end(): Cut } {
    const durable = new Map(this.#durable)
    const end = (): Cut => {
      const versions = new Map<string, readonly Version[]>()
      for (const [name, all] of this.#versions) versions.set(name, [...all])
      return new Cut(versions, durable)
    }
    return { end }
  }
}

/** What must be found on a disk whose power was cut, and what may be. */
export class Cut {
  readonly #versions: ReadonlyMap<string, readonly Version[]>
  readonly #durable: ReadonlyMap<string, number>

  constructor(
    versions: ReadonlyMap<string, readonly Version[]>,
    durable: ReadonlyMap<string, number>,
  ) {
    this.#versions = versions
    this.#durable = durable
  }

  get names(): string[] {
    return [...this.#versions.keys()]
  }

  get promisedCount(): number {
    return this.#durable.size
  }

  /** @returns what is wrong with these files */
  wrongs(found: ReadonlyMap<string, Buffer>): string[] {
    const wrongs: string[] = []
    for (const name of found.keys()) {
      if (!this.#versions.has(name)) wrongs.push(`${name} was never written`)
    }
    for (const [name, versions] of this.#versions) {
      const durable = this.#durable.get(name) ?? 0
      const bytes = found.get(name)
      const index = this.#match(name, bytes)
      if (index < 0) wrongs.push(`${name}: ${describe(bytes)}, of ${list(versions, durable)}`)
      const moved = versions[index]?.movedTo
      // Absent for another reason as well: nothing can be said.
      const isMoved = moved !== undefined && !versions.slice(durable, index).some(isAbsent)
      if (isMoved && this.#match(moved.name, found.get(moved.name)) < moved.index) {
        wrongs.push(`${name} was renamed to ${moved.name}, and is at neither name`)
      }
    }
    return wrongs
  }

  /** The latest version that this can be; -1 = none. */
  #match(name: string, bytes: Buffer | undefined): number {
    const durable = this.#durable.get(name) ?? 0
    return (this.#versions.get(name) ?? []).findLastIndex(
      (version, index) => index >= durable && isLike(version, bytes, index === durable),
    )
  }
}

function isAbsent(version: Version): boolean {
  return version.content === undefined
}

function isLike({ content, bytesMin }: Version, bytes: Buffer | undefined, isWhole: boolean) {
  if (content === undefined || bytes === undefined) return content === bytes
  const { seed, lengthBytes } = content
  const isLong = bytes.length >= (isWhole ? lengthBytes : bytesMin) && bytes.length <= lengthBytes
  return isLong && contentOf(seed, bytes.length).equals(bytes)
}

function describe(bytes: Buffer | undefined): string {
  if (bytes === undefined) return 'no file'
  // Perhaps the words of an error.
  if (bytes.length < TEXT_BYTES_MAX) return `"${bytes.toString()}"`
  const zeros = bytes.filter(byte => byte === 0).length
  return `${bytes.length} bytes, ${zeros} of them zeros`
}

function list(versions: readonly Version[], durable: number): string {
  const text = versions.slice(durable).map(({ content, bytesMin }) => {
    if (content === undefined) return 'no file'
    return `${bytesMin} to ${content.lengthBytes} bytes of seed ${content.seed}`
  })
  return `${text.join(', ')}; the first is durable`
}
