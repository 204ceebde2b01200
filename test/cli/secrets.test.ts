// Where secrets come from, and which are refused.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import t from 'tap'

import type { CliIo } from '../../src/cli/io.ts'
import { readSecret, SECRET_BYTES_MAX } from '../../src/cli/secrets.ts'

function ioWith(answers: string[], stdin = ''): CliIo {
  return {
    askSecret: async () => answers.shift(),
    readStdin: async (maxBytes: number) => Buffer.from(stdin).subarray(0, maxBytes),
  } as unknown as CliIo
}

const ASKED = { what: 'new passphrase', option: '--new-file' }

t.test('a file', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'coffer-secret-'))
  t.teardown(async () => await rm(folder, { recursive: true }))
  const file = join(folder, 'passphrase')
  const read = async (content: string | Buffer) => {
    await writeFile(file, content)
    return (await readSecret(ioWith([]), { ...ASKED, file, prompt: '' })).toString()
  }
  t.equal(await read('geheim'), 'geheim', 'without a newline')
  t.equal(await read('schön und gut\nsecond line\n'), 'schön und gut', 'the first line')
  t.equal(await read('dos\r\n'), 'dos')
  t.equal(await read(' spaces count '), ' spaces count ')
  t.equal((await read('ü'.repeat(127) + 'x')).length, 128, '255 bytes are allowed')
  await t.rejects(read('ü'.repeat(128)), { code: 'USAGE', message: /at most 255 bytes.*256/ })
  await t.rejects(read(Buffer.alloc(1 << 20, 'x')), { code: 'USAGE', message: /far more/ })
  await t.rejects(read(''), { code: 'USAGE', message: /empty/ })
  await t.rejects(read('\nsecond'), { code: 'USAGE' })
  const missing = readSecret(ioWith([]), { ...ASKED, file: join(folder, 'none'), prompt: '' })
  await t.rejects(missing, { code: 'SECRET_UNREADABLE', message: /none.*ENOENT/ })
})

t.test('stdin', async t => {
  const secret = await readSecret(ioWith([], 'typed\nmore'), { ...ASKED, file: '-', prompt: '' })
  t.equal(secret.toString(), 'typed')
})

t.test('the terminal', async t => {
  const source = { ...ASKED, file: undefined, prompt: 'New: ', confirm: 'Again: ' }
  t.equal((await readSecret(ioWith(['a', 'a']), source)).toString(), 'a')
  t.equal(
    (await readSecret(ioWith(['a']), { ...ASKED, file: undefined, prompt: 'Old: ' })).toString(),
    'a',
  )
  await t.rejects(readSecret(ioWith(['a', 'b']), source), { code: 'SECRETS_DIFFER' })
  await t.rejects(readSecret(ioWith([]), source), {
    code: 'NO_TERMINAL',
    message: /new passphrase.*--new-file/,
  })
  await t.rejects(readSecret(ioWith(['']), source), { code: 'USAGE' })
  await t.rejects(readSecret(ioWith(['x'.repeat(SECRET_BYTES_MAX + 1)]), source), { code: 'USAGE' })
})

t.test('a real terminal shows no secret', async t => {
  const io = new URL('../../src/cli/io.js', import.meta.url).href
  const program =
    `import { processIo } from "${io}"; ` +
    'console.log("length " + (await processIo().askSecret("Passphrase: ")).length)'
  const command = `'${process.execPath}' --input-type=module -e '${program}'`
  const terminal = spawn('script', ['-qec', command, '/dev/null'])
  t.teardown(() => void terminal.kill())
  let shown = ''
  terminal.stdout.setEncoding('utf8')
  terminal.stdout.on('data', (text: string) => {
    shown += text
    // Not before: the terminal itself echoes what is typed ahead.
    if (text.includes('Passphrase: ')) setTimeout(() => terminal.stdin.write('hunter2\r'), 200)
  })
  const [status] = await once(terminal, 'close')
  t.equal(status, 0, shown)
  t.match(shown, /length 7/)
  t.notMatch(shown, /hunter2/)
})
