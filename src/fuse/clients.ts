// Who uses the mount: the threads whose requests came last. A request costs a comparison, since most come from the same
// thread as the one before; names are nobody's business here.

/** A fork bomb on the mount must not cost more than this. */
const CLIENTS_MAX = 256

export class Client {
  /** of the thread, as the daemon's namespace numbers it; 0: the kernel itself, or a process of another namespace */
  readonly pid: number
  readonly uid: number
  operations = 0
  bytesWritten = 0
  bytesRead = 0
  /** by the monotonic clock */
  lastMs = 0

  constructor(pid: number, uid: number) {
    this.pid = pid
    this.uid = uid
  }
}

export class Clients {
  /** uid => pid => client; a thread may change its uid, as file servers do for every request */
  readonly #byUid = new Map<number, Map<number, Client>>()
  #count = 0
  #latest = new Client(0, 0)

  /** Whose request it is; counts it. */
  request(pid: number, uid: number, atMs: number): Client {
    let client = this.#latest
    if (client.pid !== pid || client.uid !== uid || client.operations === 0) {
      client = this.#byUid.get(uid)?.get(pid) ?? this.#add(pid, uid)
      this.#latest = client
    }
    client.operations += 1
    client.lastMs = atMs
    return client
  }

  /** The most recently active first. */
  list(): Client[] {
    return [...this.#all()].sort((a, b) => b.lastMs - a.lastMs)
  }

  #add(pid: number, uid: number): Client {
    if (this.#count >= CLIENTS_MAX) this.#dropOldest()
    const client = new Client(pid, uid)
    const ofUid = this.#byUid.get(uid) ?? new Map<number, Client>()
    this.#byUid.set(uid, ofUid.set(pid, client))
    this.#count += 1
    return client
  }

  /** Looks at all: only a request of somebody new gets here. */
  #dropOldest(): void {
    let oldest: Client | undefined
    for (const client of this.#all()) {
      if (oldest === undefined || client.lastMs < oldest.lastMs) oldest = client
    }
    if (oldest === undefined) return
    const ofUid = this.#byUid.get(oldest.uid)
    ofUid?.delete(oldest.pid)
    if (ofUid?.size === 0) this.#byUid.delete(oldest.uid)
    this.#count -= 1
  }

  *#all(): Iterable<Client> {
    for (const ofUid of this.#byUid.values()) yield* ofUid.values()
  }
}
