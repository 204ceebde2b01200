// The program behind ChildDaemon: everything of a daemon is loaded, and one begins when its options come. What is the
// command line's is left out, and keys are derived at a price that thousands of starts can pay.

import './cheap-scrypt.ts'
import type { DaemonOptions } from '../../src/daemon/contract.ts'
import { startDaemon } from '../../src/daemon/index.ts'

async function run(options: DaemonOptions): Promise<void> {
  const daemon = await startDaemon(options)
  process.send?.('ready')
  // Whoever started it has gone.
  process.once('disconnect', () => void daemon.stop({ force: true }))
  await daemon.stopped
}

process.once('disconnect', () => process.exit())
process.once('message', (options: DaemonOptions) => {
  process.removeAllListeners('disconnect')
  run(options).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
    process.exit(1)
  })
})
