// Reads the extents of damaged metadata in a process of its own: LevelDB may abort the process.
//
//   node extents-child.js METADATA SCRATCH

import { extentsIn } from './adapter.ts'

const [metadata = '', scratch = ''] = process.argv.slice(2)
process.send?.((await extentsIn(metadata, scratch)) ?? [], () => process.exit(0))
