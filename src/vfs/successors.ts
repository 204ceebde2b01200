// Data that takes the place of older data: a file that was renamed over another one, or one that was cut off and written
// anew. A commit that no longer has the old data waits until the new is stored, so that a crash leaves one of the two.

import { setTimeout as delay } from 'node:timers/promises'
import type { ContentStore, FileContent } from './content.ts'
import type { Inode } from './inode.ts'

/** So often what came during the waiting is waited for as well; whoever replaces files after that waits for the commit. */
const OPEN_ROUNDS = 2
/**
 * A disk that stores nothing for so long is full, or broken. Whoever makes room on it may need this very commit, which
 * goes on then: the new file is shorter after a crash.
 */
const WAIT_MS_MAX = 10_000

export class Successors {
  readonly #store: Pick<ContentStore, 'flush'>
  readonly #waitMsMax: number
  /** have taken another file's place since the last look */
  readonly #renamed = new Set<Inode>()
  /** were cut off; looked at when nobody has them open any more */
  readonly #rewritten = new Set<Inode>()
  #gate: { readonly opened: Promise<void>; readonly open: () => void } | undefined

  /** @param waitMsMax what a commit waits at most; so long unless a test says otherwise */
  constructor(store: Pick<ContentStore, 'flush'>, waitMsMax = WAIT_MS_MAX) {
    this.#store = store
    this.#waitMsMax = waitMsMax
  }

  /** The file has just taken another one's place. */
  renamed(inode: Inode): void {
    if (inode.content?.hasUnflushedData === true) this.#renamed.add(inode)
  }

  /** The file has lost data that it had. Whoever has it open may be about to write it anew. */
  rewritten(inode: Inode): void {
    this.#rewritten.add(inode)
  }

  /** Before a file takes another one's place. @returns undefined when that may happen now */
  admitted(): Promise<void> | undefined {
    return this.#gate?.opened
  }

  /**
   * Stores what has taken the place of older data. To be called again until there is nothing to wait for; the commit is
   * collected in that same turn.
   * @returns undefined when there is nothing to wait for
   */
  settle(): Promise<void> | undefined {
    const unstored = this.#takeUnstored()
    return unstored.length === 0 ? undefined : this.#settleAll(unstored)
  }

  /** The commit has been collected. */
  collected(): void {
    this.#gate?.open()
    this.#gate = undefined
  }

  async #settleAll(first: FileContent[]): Promise<void> {
    const ended = new AbortController()
    const late = delay(this.#waitMsMax, 'late' as const, { signal: ended.signal, ref: false })
    late.catch(() => undefined)
    try {
      let unstored = first
      for (let round = 1; unstored.length > 0; round++) {
        if (round > OPEN_ROUNDS) this.#close()
        // What can't be stored is told to whoever writes it.
        if ((await Promise.race([late, this.#store.flush(unstored)])) === 'late')
          return this.#close()
        unstored = this.#takeUnstored()
      }
    } finally {
      ended.abort()
    }
  }

  /** Each once: what is written after that is an ordinary change of a file that is there. */
  #takeUnstored(): FileContent[] {
    const unstored: FileContent[] = []
    const take = (inode: Inode): void => {
      const { content } = inode
      if (content?.hasUnflushedData === true && inode.linkCount > 0) unstored.push(content)
    }
    for (const inode of this.#renamed) take(inode)
    this.#renamed.clear()
    for (const inode of this.#rewritten) {
      if (inode.pins > 0 && inode.linkCount > 0) continue
      this.#rewritten.delete(inode)
      take(inode)
    }
    return unstored
  }

  #close(): void {
    if (this.#gate !== undefined) return
    let open = (): void => undefined
    const opened = new Promise<void>(resolve => {
      open = resolve
    })
    this.#gate = { opened, open }
  }
}
