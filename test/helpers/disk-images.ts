// A disk that can be looked at as a power cut would leave it: a filesystem on an image file that lies on btrfs, where a
// reflink copy is the image of one moment. What the filesystem has not written by then is not in it; what it has is, as
// with a disk whose cache survives.

import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tool } from './mounted.ts'

const POOL_BYTES = 8 * 1024 ** 3
const DISK_BYTES = 3 * 1024 ** 3
const NEEDED = ['losetup', 'mkfs.btrfs', 'mkfs.ext4'] as const

/**
 * On ext4 one fsync commits what the whole filesystem has in its journal, with btrfs each file's stands for itself: there
 * a missing one shows.
 */
export const FILESYSTEMS = ['ext4', 'btrfs'] as const
export type Filesystem = (typeof FILESYSTEMS)[number]

/** Why there can be no such disk here, or false. */
export async function diskImagesSkipReason(filesystem: Filesystem): Promise<string | false> {
  // Copies have the id of what they were copied from, and are mounted beside it.
  const canMountCopies = filesystem !== 'btrfs' || existsSync('/sys/fs/btrfs/features/temp_fsid')
  if (!canMountCopies) return 'this kernel mounts no copy of a btrfs filesystem beside it'
  if (process.getuid?.() !== 0) return 'mounting disk images takes root'
  for (const command of NEEDED) {
    const path = await tool('sh', '-c', `command -v ${command}`).catch(() => '')
    if (path === '') return `${command} is missing`
  }
  // Containers have the tools and still no devices.
  return tool('losetup', '--find').then(
    () => false,
    () => 'there are no loop devices',
  )
}

export class DiskImages {
  readonly #base: string
  /** mount points, the last one first to go */
  readonly #mounted = new Set<string>()

  private constructor(base: string) {
    this.#base = base
  }

  static async make(filesystem: Filesystem): Promise<DiskImages> {
    const images = new DiskImages(await mkdtemp(join(tmpdir(), 'coffer-disk-')))
    try {
      const pool = join(images.#base, 'pool.btrfs')
      await makeSparse(pool, POOL_BYTES)
      await tool('mkfs.btrfs', '-q', pool)
      await images.#mount(pool, join(images.#base, 'pool'))
      await makeSparse(images.#image('disk'), DISK_BYTES)
      await tool(`mkfs.${filesystem}`, '-q', images.#image('disk'))
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

  /** What the disk holds at one moment of the call. */
  async cut(name: string): Promise<void> {
    await tool('cp', '--reflink=always', this.#image('disk'), this.#image(name))
  }

  /** The journal is played back, as after a power cut. @returns the mount point */
  async mount(name: string): Promise<string> {
    await this.#mount(this.#image(name), this.#mountPoint(name))
    return this.#mountPoint(name)
  }

  /** Unmounts a cut and deletes it. */
  async drop(name: string): Promise<void> {
    const point = this.#mountPoint(name)
    if (this.#mounted.delete(point)) await tool('umount', point)
    await rm(this.#image(name))
  }

  /** Unmounts everything, which frees the loop devices too, and deletes it. */
  async remove(): Promise<void> {
    for (const point of [...this.#mounted].toReversed()) await tool('umount', point)
    await rm(this.#base, { recursive: true, force: true, maxRetries: 3 })
  }

  #image(name: string): string {
    return join(this.#base, 'pool', `${name}.image`)
  }

  #mountPoint(name: string): string {
    return join(this.#base, `mnt-${name}`)
  }

  async #mount(image: string, point: string): Promise<void> {
    await mkdir(point)
    await tool('mount', '-o', 'loop', image, point)
    this.#mounted.add(point)
  }
}

async function makeSparse(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, 'w')
  await file.truncate(sizeBytes)
  await file.close()
}
