// A counting semaphore whose takers get all that they ask for at once, in order: nobody holds some while waiting for
// more, so that takers never wait for each other in a circle.

interface Waiting {
  readonly count: number
  resolve(): void
}

export class Permits {
  readonly total: number
  #free: number
  readonly #waiting: Waiting[] = []

  constructor(total: number) {
    if (total < 1) throw new RangeError('there must be at least one permit')
    this.total = total
    this.#free = total
  }

  /** False when it would have to wait. */
  tryTake(count: number): boolean {
    if (this.#waiting.length > 0 || count > this.#free) return false
    this.#free -= count
    return true
  }

  /** @param count at most `total` */
  take(count: number): Promise<void> {
    if (count > this.total) throw new RangeError('more permits than there are')
    if (this.tryTake(count)) return Promise.resolve()
    return new Promise(resolve => this.#waiting.push({ count, resolve }))
  }

  give(count: number): void {
    this.#free += count
    if (this.#free > this.total) throw new Error('more permits came back than were taken')
    for (;;) {
      const next = this.#waiting[0]
      if (next === undefined || next.count > this.#free) return
      this.#waiting.shift()
      this.#free -= next.count
      next.resolve()
    }
  }
}
