import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { warmTables } from '../../src/metadata/warming.ts'

const MEBIBYTE = 2 ** 20

t.test('the ends of tables are read, and nothing else', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-warming-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const signal = new AbortController().signal
  t.equal(await warmTables(directory, signal), 0)
  await writeFile(join(directory, '000005.ldb'), Buffer.alloc(24 * MEBIBYTE))
  await writeFile(join(directory, '000007.ldb'), Buffer.alloc(48 * MEBIBYTE))
  await writeFile(join(directory, '000008.ldb'), '')
  await writeFile(join(directory, '000009.log'), Buffer.alloc(24 * MEBIBYTE))
  await mkdir(join(directory, '000010.ldb'))
  execFileSync('mkfifo', [join(directory, '000011.ldb')])
  t.equal(await warmTables(directory, signal), 3 * MEBIBYTE)
})

t.test('it ends when the store does', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-warming-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  await writeFile(join(directory, '000005.ldb'), Buffer.alloc(MEBIBYTE))
  await t.rejects(warmTables(directory, AbortSignal.abort()), { name: 'AbortError' })
})
