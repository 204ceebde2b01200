// What a writer has been promised, kept outside of the store that crashes: for each name all that it ever held, and which
// of that is durable.

import { contentOf } from '../helpers/open-store.ts'

/** What a name holds from some moment on. */
export interface Version {
  /** undefined: there is no such file */
  readonly content?: { readonly seed: number; readonly lengthBytes: number }
  /** if it isn't durable, a beginning of at least so many bytes may be found */
  readonly bytesMin: number
  /** the value of the extended attribute, if it has one */
  readonly attribute?: string | undefined
  /** it has no file because that was renamed: there it must be */
  readonly movedTo?: { readonly name: string; readonly index: number }
}

/** A file as it was found after a crash. */
export interface Found {
  /** or the words of an error */
  readonly bytes: Buffer
  readonly attribute?: string | undefined
}

const TEXT_BYTES_MAX = 100

export const ABSENT: Version = { bytesMin: 0 }

export class CrashRecord {
  #versions = new Map<string, Version[]>()
  #durable = new Map<string, number>()
  #passphrases: readonly string[]

  constructor(passphrase: string) {
    this.#passphrases = [passphrase]
  }

  /** One of these opens the encrypted group: more than one while it is being changed. */
  get passphrases(): readonly string[] {
    return this.#passphrases
  }

  /** Written down before the change begins. */
  beginPassphrase(next: string): void {
    this.#passphrases = [next, ...this.#passphrases]
  }

  /** Written down after the change was answered. */
  promisePassphrase(next: string): void {
    this.#passphrases = [next]
  }

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

  /** Call it before a crash; the result knows what may be found if it ended by the time of `end`. */
  beginCut(): { end(): Cut } {
    const durable = new Map(this.#durable)
    const early = this.#passphrases
    const end = (): Cut => {
      const versions = new Map<string, readonly Version[]>()
      for (const [name, all] of this.#versions) versions.set(name, [...all])
      return new Cut(versions, durable, [...new Set([...this.#passphrases, ...early])])
    }
    return { end }
  }

  /** The store goes on with what was found: a commit, so all of it is durable. Nothing of it may be wrong. */
  settle(cut: Cut, found: ReadonlyMap<string, Found>, passphrase: string): void {
    this.#passphrases = [passphrase]
    this.#versions = new Map()
    this.#durable = new Map()
    for (const name of cut.names) {
      this.#versions.set(name, [cut.versionOf(name, found.get(name))])
      this.#durable.set(name, 0)
    }
  }
}

/** What must be found after a crash, and what may be. */
export class Cut {
  readonly #versions: ReadonlyMap<string, readonly Version[]>
  readonly #durable: ReadonlyMap<string, number>
  /** one of them opens the encrypted group */
  readonly passphrases: readonly string[]

  constructor(
    versions: ReadonlyMap<string, readonly Version[]>,
    durable: ReadonlyMap<string, number>,
    passphrases: readonly string[],
  ) {
    this.#versions = versions
    this.#durable = durable
    this.passphrases = passphrases
  }

  get names(): string[] {
    return [...this.#versions.keys()]
  }

  /** Of so many names something is promised: what they hold, or that they are gone. */
  get promisedCount(): number {
    return this.#durable.size
  }

  /** @returns what is wrong with these files */
  wrongs(found: ReadonlyMap<string, Found>): string[] {
    const wrongs: string[] = []
    for (const name of found.keys()) {
      if (!this.#versions.has(name)) wrongs.push(`${name} was never written`)
    }
    for (const [name, versions] of this.#versions) {
      const durable = this.#durable.get(name) ?? 0
      const index = this.#match(name, found.get(name))
      if (index < 0)
        wrongs.push(`${name}: ${describe(found.get(name))}, of ${list(versions, durable)}`)
      const moved = versions[index]?.movedTo
      // Absent for another reason as well: nothing can be said.
      const isMoved = moved !== undefined && !versions.slice(durable, index).some(isAbsent)
      if (isMoved && this.#match(moved.name, found.get(moved.name)) < moved.index) {
        wrongs.push(`${name} was renamed to ${moved.name}, and is at neither name`)
      }
    }
    return wrongs
  }

  /** What a name that isn't wrong holds, as if it had never held anything else. */
  versionOf(name: string, found: Found | undefined): Version {
    const { content } = this.#versions.get(name)?.[this.#match(name, found)] ?? ABSENT
    if (content === undefined || found === undefined) return ABSENT
    const lengthBytes = found.bytes.length
    const { attribute } = found
    return { content: { seed: content.seed, lengthBytes }, bytesMin: lengthBytes, attribute }
  }

  /** The latest version that this can be; -1 = none. */
  #match(name: string, found: Found | undefined): number {
    const durable = this.#durable.get(name) ?? 0
    return (this.#versions.get(name) ?? []).findLastIndex(
      (version, index) => index >= durable && isLike(version, found, index === durable),
    )
  }
}

function isAbsent(version: Version): boolean {
  return version.content === undefined
}

function isLike(
  { content, bytesMin, attribute }: Version,
  found: Found | undefined,
  isWhole: boolean,
) {
  if (content === undefined || found === undefined) return content === found
  const { seed, lengthBytes } = content
  const { bytes } = found
  const isLong = bytes.length >= (isWhole ? lengthBytes : bytesMin) && bytes.length <= lengthBytes
  return isLong && attribute === found.attribute && contentOf(seed, bytes.length).equals(bytes)
}

function describe(found: Found | undefined): string {
  if (found === undefined) return 'no file'
  const { bytes, attribute } = found
  // Perhaps the words of an error.
  if (bytes.length < TEXT_BYTES_MAX) return `"${bytes.toString()}", attribute ${attribute}`
  const zeros = bytes.filter(byte => byte === 0).length
  return `${bytes.length} bytes, ${zeros} of them zeros, attribute ${attribute}`
}

function list(versions: readonly Version[], durable: number): string {
  const text = versions.slice(durable).map(({ content, bytesMin, attribute }) => {
    if (content === undefined) return 'no file'
    const range = `${bytesMin} to ${content.lengthBytes} bytes of seed ${content.seed}`
    return attribute === undefined ? range : `${range} with the attribute ${attribute}`
  })
  return `${text.join(', ')}; the first is durable`
}
