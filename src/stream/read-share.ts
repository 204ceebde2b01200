// How far ahead of its reader each of the files may be read that are being read now: what is fetched for all of them has
// to stay in the region cache until it is wanted.

/** A quarter of the region cache (daemon/data-path): its other users are the regions that lie behind the readers. */
const AHEAD_BYTES = 32 * 1024 * 1024
/** Who reads now: the files of so many last reads. */
const RECENT_READS = 64

export class ReadShare {
  /** a ring: the files of the last reads */
  readonly #recent: number[] = []
  /** file => its reads among them */
  readonly #counts = new Map<number, number>()
  #oldest = 0

  /** A file is read. @returns bytes that may be fetched ahead for it */
  of(inode: number): number {
    const left = this.#recent[this.#oldest]
    this.#recent[this.#oldest] = inode
    this.#oldest = (this.#oldest + 1) % RECENT_READS
    this.#counts.set(inode, (this.#counts.get(inode) ?? 0) + 1)
    if (left !== undefined) this.#forget(left)
    return AHEAD_BYTES / this.#counts.size
  }

  #forget(inode: number): void {
    const count = (this.#counts.get(inode) ?? 0) - 1
    if (count > 0) this.#counts.set(inode, count)
    else this.#counts.delete(inode)
  }
}
