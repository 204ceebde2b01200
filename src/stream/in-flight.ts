// Stores under way: from their look at the chunk index until their extents are in place. Between the two a location is
// held by nobody else, and whoever wants to delete a block file waits for it.

export class InFlight {
  readonly #running = new Set<Promise<void>>()

  /** A store begins. @returns to be called once, when its extents are in place or it has failed */
  begin(): () => void {
    let end = (): void => {}
    const running = new Promise<void>(resolve => {
      end = resolve
    })
    this.#running.add(running)
    return () => {
      this.#running.delete(running)
      end()
    }
  }

  /**
   * Every store that began before the call has ended, and so have those that took over a location from one of them while
   * it was being appended: they waited for it, and came before it ended.
   */
  async settled(): Promise<void> {
    await Promise.all(this.#running)
    await Promise.all(this.#running)
  }
}
