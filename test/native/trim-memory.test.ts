// What the allocator holds between pieces that are in use goes back to the kernel. In a process of its own, whose garbage
// can be collected when it is wanted.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'

const ADDON = new URL('../../src/native/data-path.js', import.meta.url).href
const PROGRAM = `
  import { trimMemory } from '${ADDON}'
  // 320 MB in pieces that are the allocator's own business, of which one in 200 stays.
  let pieces = Array.from({ length: 20_000 }, () => new Uint8Array(16_384).fill(1))
  pieces = pieces.filter((_, index) => index % 200 === 0)
  gc()
  // What is garbage is freed beside, by another thread.
  await new Promise(done => setTimeout(done, 500))
  const before = process.memoryUsage.rss()
  await trimMemory()
  const after = process.memoryUsage.rss()
  console.log(JSON.stringify({ before, after, kept: pieces.every(piece => piece[7] === 1) }))
`

t.test(
  'memory between pieces that are in use is given back, and they stay as they are',
  async t => {
    const args = ['--expose-gc', '--input-type=module', '--eval', PROGRAM]
    const { stdout } = await promisify(execFile)(process.execPath, args)
    const { before, after, kept } = JSON.parse(stdout) as Record<string, number | boolean>
    t.ok(kept)
    t.ok(Number(before) - Number(after) > 100e6, stdout)
  },
)
