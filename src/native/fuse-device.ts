// The typed face of the addon's FUSE device: mounting, the session that carries requests and replies, and what
// the process asks of the kernel. The native side: native/fuse_device and native/common/process.cc.

import { loadAddon } from './addon.ts'

/**
 * Takes one batch: `batch` holds slot and length of each of `requests` requests, and from `completionsIndex` on
 * the ids of `completions` written replies. `closed` says that nothing will follow.
 * @returns how many slots are done with; their numbers were put at the front of `batch`
 */
export type BatchHandler = (requests: number, completions: number, closed: boolean) => number

/** A mounted device. All offsets are bytes in `area`, one memory that both sides share. */
export interface FuseSession {
  readonly area: ArrayBuffer
  /** the reply area lies at offset 0 and has this length */
  readonly replyBytes: number
  /** where the words of a batch lie */
  readonly batchOffset: number
  /** index of the first completion among the batch's words */
  readonly completionsIndex: number
  /** where the request of slot 0 begins */
  readonly firstRequestOffset: number
  readonly slotStride: number
  /** Writes the first `length` bytes of the reply area to the kernel. @returns 0 or an errno */
  reply(length: number): number
  /**
   * Writes the 16-byte header in the reply area, then `pieces`, without copying them. The caller keeps the pieces
   * alive until `id` comes back among the completions; `true` = that won't happen, they are done with already.
   */
  replyPieces(id: number, pieces: readonly Uint8Array[]): boolean
  /** Sends a notification of `length` bytes from the reply area; `id` and the result as in replyPieces. */
  notify(id: number, length: number): boolean
  /** Gives back a slot that a batch handler kept. */
  releaseSlot(slot: number): void
  /** Stops the threads; a last batch says `closed`. What is still mounted then answers ENOTCONN. */
  close(): void
}

interface FuseAddon {
  mountFuse(mountPoint: string, allowOther: boolean): Promise<number>
  unmountFuse(mountPoint: string, lazy: boolean): Promise<void>
  openFuseSession(
    descriptor: number,
    slotCount: number,
    readerCount: number,
    onBatch: BatchHandler,
  ): FuseSession
  lockFileExclusive(path: string): number
  setDumpable(dumpable: boolean): boolean
  setIoFlusher(): boolean
}

let addon: FuseAddon | undefined

function loaded(): FuseAddon {
  addon ??= loadAddon() as FuseAddon
  return addon
}

/**
 * Mounts: with mount(2) as root, with fusermount3 otherwise.
 * @returns the device's descriptor, for openFuseSession
 * @throws an Error with code FUSE_MISSING, MOUNT_REFUSED or an errno's name
 */
export function mountFuse(mountPoint: string, allowOther: boolean): Promise<number> {
  return loaded().mountFuse(mountPoint, allowOther)
}

/**
 * @param lazy detach a mount that is in use; it ends when its last file is closed
 * @throws an Error with code EBUSY, EINVAL (not mounted) or UNMOUNT_REFUSED
 */
export function unmountFuse(mountPoint: string, lazy: boolean): Promise<void> {
  return loaded().unmountFuse(mountPoint, lazy)
}

/** Starts to serve a mounted device, whose descriptor the session owns from here on. */
export function openFuseSession(
  descriptor: number,
  slotCount: number,
  readerCount: number,
  onBatch: BatchHandler,
): FuseSession {
  return loaded().openFuseSession(descriptor, slotCount, readerCount, onBatch)
}

/**
 * Creates the file when needed and locks it. The lock lasts until the descriptor is closed or the process ends,
 * however it ends.
 * @returns the descriptor
 * @throws an Error with code EAGAIN when somebody holds the lock, else an errno's name
 */
export function lockFileExclusive(path: string): number {
  return loaded().lockFileExclusive(path)
}

/** Without dumps no core file and no debugger of the same user shows our keys. @returns whether it took effect */
export function setDumpable(dumpable: boolean): boolean {
  return loaded().setDumpable(dumpable)
}

/**
 * Tells the kernel that the calling thread serves file writes, so that reclaiming memory for it never waits for
 * them. The device's own threads do it by themselves. @returns false when not privileged
 */
export function setIoFlusher(): boolean {
  return loaded().setIoFlusher()
}
