// Free memory of a virtual machine. With free page reporting (virtio-balloon) the guest hands it back to the host some
// seconds after it was freed, and whoever uses a page of it next waits until the host has found another one: a plain
// file is then read at a quarter of the speed, or not, as pages happen to lie. That is no property of what is measured.

import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run, script } from './processes.ts'

const BALLOONS = '/sys/bus/virtio/drivers/virtio_balloon'
/** Linux, include/uapi/linux/virtio_balloon.h: VIRTIO_BALLOON_F_REPORTING. */
const REPORTING_BIT = 5
/** What is reported: free blocks of so many pages (as a power of 2) or more. */
const LEAST_ORDER = '/sys/module/page_reporting/parameters/page_reporting_order'
/** Blocks of this order don't exist: the largest has MAX_PAGE_ORDER, 10 on x86. */
const NO_ORDER = '11'
/** The rest stays for others while all free memory is touched. */
const UNTOUCHED_BYTES = 1.5 * 2 ** 30
const BYTES_PER_KIB = 1024

/** Whether some balloon of this machine reports free pages to the host. */
export async function isFreeMemoryReported(
  balloons = BALLOONS,
  leastOrder = LEAST_ORDER,
): Promise<boolean> {
  const devices = await readdir(balloons).catch(() => [])
  for (const device of devices) {
    // The others are the driver's own files.
    const features = await readFile(join(balloons, device, 'features'), 'latin1').catch(() => '')
    if (features[REPORTING_BIT] === '1') {
      const order = await readFile(leastOrder, 'latin1').catch(() => '')
      return order.trim() !== NO_ORDER
    }
  }
  return false
}

/**
 * From now on free memory stays with the guest, all of it, until the returned function is called.
 * @throws when this kernel can't be told to
 */
export async function keepFreeMemory(signal: AbortSignal): Promise<() => Promise<void>> {
  let before: string
  try {
    before = await readFile(LEAST_ORDER, 'latin1')
    await writeFile(LEAST_ORDER, NO_ORDER)
  } catch (error) {
    throw new Error(
      'this kernel reports free memory in any case; unbinding its balloon stops that',
      {
        cause: error,
      },
    )
  }
  const restore = (): Promise<void> => writeFile(LEAST_ORDER, before.trim())
  try {
    const bytes = (await freeBytes()) - UNTOUCHED_BYTES
    if (bytes > 0)
      await run(process.execPath, [script('touch-memory.js'), String(bytes)], { signal })
  } catch (error) {
    await restore()
    throw error
  }
  return restore
}

async function freeBytes(): Promise<number> {
  const kibibytes = /^MemFree:\s+(\d+) kB$/m.exec(await readFile('/proc/meminfo', 'latin1'))?.[1]
  if (kibibytes === undefined) throw new Error('/proc/meminfo has no MemFree')
  return Number(kibibytes) * BYTES_PER_KIB
}
