// Mounts the do-nothing filesystem until it is unmounted: node dist/bench/null-mount.js MOUNTPOINT [none|writers|all]
// [device|fuse-native]. The second says who bypasses the page cache, the third who carries the requests.

import { mountFilesystem } from '../src/fuse/index.ts'
import { NullFilesystem } from './null-filesystem.ts'

const [mountPoint, directIo = 'none', transport = 'device'] = process.argv.slice(2)
const isKnown = directIo === 'none' || directIo === 'writers' || directIo === 'all'
const isCarrier = transport === 'device' || transport === 'fuse-native'
if (mountPoint === undefined || !isKnown || !isCarrier) {
  console.error(
    'usage: node dist/bench/null-mount.js MOUNTPOINT [none|writers|all] [device|fuse-native]',
  )
  process.exit(2)
}

const mount = await mountFilesystem({ mountPoint, transport }, new NullFilesystem(directIo))
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
