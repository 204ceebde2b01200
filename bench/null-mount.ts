// Mounts the do-nothing filesystem until it is unmounted: node dist/bench/null-mount.js MOUNTPOINT [none|writers|all]
// The second says who bypasses the page cache.

import { mountFilesystem } from '../src/fuse/index.ts'
import { NullFilesystem } from './null-filesystem.ts'

const [mountPoint, directIo = 'none'] = process.argv.slice(2)
const isKnown = directIo === 'none' || directIo === 'writers' || directIo === 'all'
if (mountPoint === undefined || !isKnown) {
  console.error('usage: node dist/bench/null-mount.js MOUNTPOINT [none|writers|all]')
  process.exit(2)
}

const mount = await mountFilesystem({ mountPoint }, new NullFilesystem(directIo))
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void mount.unmount({ force: true })
  })
}
console.log('mounted')
await mount.closed
const { user, system } = process.cpuUsage()
console.log(
  JSON.stringify({ ...mount.statistics, userMicroseconds: user, systemMicroseconds: system }),
)
