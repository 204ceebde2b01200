// A disk that can be looked at as a power cut would leave it: a filesystem on an image file that lies on btrfs, where a
// reflink copy is the image of one moment. What the filesystem has not written by then is not in it; what it has is, as
// with a disk whose cache survives.

import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { tool } from './mounted.ts'

const POOL_BYTES = 8 * 1024 ** 3
const UNMOUNT_TRIES_MAX = 100
const UNMOUNT_PAUSE_MS = 200
const DISK_BYTES = 3 * 1024 ** 3

/**
 * On ext4 one fsync commits what the whole filesystem has in its journal, with btrfs each file's stands for itself: there
 * a missing one shows. xfs journals no data, and writes a file's size only after its bytes.
 */
export const FILESYSTEMS = ['ext4', 'btrfs', 'xfs'] as const
export type Filesystem = (typeof FILESYSTEMS)[number]

/** Why there can be no such disk here, or false. */
export async function diskImagesSkipReason(filesystem: Filesystem): Promise<string | false> {
  // Copies have the id of what they were copied from, and are mounted beside it.
  const canMountCopies = filesystem !== 'btrfs' || existsSync('/sys/fs/btrfs/features/temp_fsid')
  if (!canMountCopies) return 'this kernel mounts no copy of a btrfs filesystem beside it'
  if (process.getuid?.() !== 0) return 'mounting disk images takes root'
  for (const command of ['losetup', 'mkfs.btrfs', `mkfs.${filesystem}`]) {
    const path = await tool('sh', '-c', `command -v ${command}`).catch(() => '')
    if (path === '') return `${command} is missing`
  }
  // Loads the module where there is one to be loaded.
  await tool('modprobe', filesystem).catch(() => '')
  const known = await readFile('/proc/filesystems', 'utf8')
  if (!new RegExp(`\\t${filesystem}$`, 'm').test(known))
    return `this kernel mounts no ${filesystem}`
  // Containers have the tools and still no devices.
  return tool('losetup', '--find').then(
    () => false,
    () => 'there are no loop devices',
  )
}

export class DiskImages {
  readonly #base: string
  readonly #filesystem: Filesystem
  /** mount points, the last one first to go */
  readonly #mounted = new Set<string>()

  private constructor(base: string, filesystem: Filesystem) {
    this.#base = base
    this.#filesystem = filesystem
  }

  static async make(filesystem: Filesystem): Promise<DiskImages> {
    const images = new DiskImages(await mkdtemp(join(tmpdir(), 'coffer-disk-')), filesystem)
    try {
      const pool = join(images.#base, 'pool.btrfs')
      await makeSparse(pool, POOL_BYTES)
      await tool('mkfs.btrfs', '-q', pool)
      await images.#mount(pool, images.pool, 'loop')
      await makeSparse(images.path('disk'), DISK_BYTES)
      await tool(`mkfs.${filesystem}`, '-q', images.path('disk'))
      await images.mount('disk')
    } catch (error) {
      await images.remove()
      throw error
    }
    return images
  }

  /** Where the running disk is. */
  get disk(): string {
    return this.#mountPoint('disk')
  }

  /** Where the images lie, on btrfs: copies by reflink cost nothing. */
  get pool(): string {
    return join(this.#base, 'pool')
  }

  /** What a disk holds at one moment of the call, the running one unless told. */
  async cut(name: string, of = 'disk'): Promise<void> {
    await tool('cp', '--reflink=always', this.path(of), this.path(name))
  }

  /** The journal is played back, as after a power cut. @returns the mount point */
  async mount(name: string): Promise<string> {
    // xfs refuses a copy, which has the id of what is mounted already.
    const options = this.#filesystem === 'xfs' ? 'loop,nouuid' : 'loop'
    await this.#mount(this.path(name), this.#mountPoint(name), options)
    return this.#mountPoint(name)
  }

  /** Unmounts a cut and deletes it. */
  async drop(name: string): Promise<void> {
    const point = this.#mountPoint(name)
    if (this.#mounted.delete(point)) await unmount(point)
    await rm(this.path(name))
  }

  /** Unmounts everything, which frees the loop devices too, and deletes it. */
  async remove(): Promise<void> {
    for (const point of [...this.#mounted].toReversed()) await unmount(point)
    await rm(this.#base, { recursive: true, force: true, maxRetries: 3 })
  }

  /** Copies an image to where it outlives all this. Holes stay holes. */
  async keep(name: string, path: string): Promise<void> {
    await tool('cp', '--sparse=always', this.path(name), path)
  }

  /** The image's file. */
  path(name: string): string {
    return join(this.pool, `${name}.image`)
  }

  #mountPoint(name: string): string {
    return join(this.#base, `mnt-${name}`)
  }

  async #mount(image: string, point: string, options: string): Promise<void> {
    await mkdir(point, { recursive: true })
    await tool('mount', '-o', options, image, point)
    this.#mounted.add(point)
  }
}

/** A loop device lets go of its image some time after it was unmounted, and a killed process of its files. */
async function unmount(point: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await tool('umount', point)
      return
    } catch (error) {
      const isBusy = error instanceof Error && error.message.includes('busy')
      if (!isBusy) throw error
      if (tries === UNMOUNT_TRIES_MAX) {
        // It goes when whoever holds it does: no reason to lose what a long run has found.
        await tool('umount', '-l', point)
        return
      }
      await delay(UNMOUNT_PAUSE_MS)
    }
  }
}

async function makeSparse(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, 'w')
  await file.truncate(sizeBytes)
  await file.close()
}
