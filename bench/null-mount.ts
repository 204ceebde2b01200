// Mounts the do-nothing filesystem until it is unmounted: node dist/bench/null-mount.js MOUNTPOINT [--direct]

import { mountFilesystem } from '../src/fuse/index.ts'
import { NullFilesystem } from './null-filesystem.ts'

const [mountPoint, mode] = process.argv.slice(2)
if (mountPoint === undefined) {
  console.error('usage: node dist/bench/null-mount.js MOUNTPOINT [--direct]')
  process.exit(2)
}

const mount = await mountFilesystem({ mountPoint }, new NullFilesystem(mode === '--direct'))
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
