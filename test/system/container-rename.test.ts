// A container gets another name while programs work in it: the kernel has to forget the old one at once.

import { existsSync } from 'node:fs'
import {
  appendFile,
  chmod,
  mkdir,
  open,
  readdir,
  readFile,
  stat,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { mountSkipReason, startedCoffer } from '../helpers/mounted.ts'

interface Shown {
  containers: { id: number; name: string; files: number; mode: string }[]
}

t.test('a container is renamed on a live mount', { skip: mountSkipReason }, async t => {
  const coffer = await startedCoffer(t, 'old', 'taken')
  const at = (...parts: string[]): string => join(coffer.mount, ...parts)
  await mkdir(at('old', 'deep'))
  await writeFile(at('old', 'deep', 'file'), 'before')
  await chmod(at('old'), 0o750)
  t.notOk(existsSync(at('new')), 'now the kernel knows that there is no such name')
  const file = await open(at('old', 'deep', 'file'), 'a+')
  const { ino } = await stat(at('old'))
  const { containers } = await coffer.json<Shown>('container', 'show', 'old')

  await coffer.coffer('container', 'rename', 'old', 'new')
  t.equal(existsSync(at('old')), false)
  t.same((await readdir(coffer.mount)).sort(), ['new', 'taken'])
  t.equal((await stat(at('new'))).ino, ino)
  await file.write(', after')
  t.equal(
    await readFile(at('new', 'deep', 'file'), 'utf8'),
    'before, after',
    'an open file goes on',
  )
  await file.sync()
  await file.close()
  await t.rejects(writeFile(at('old', 'file'), ''), { code: 'ENOENT' })

  await t.rejects(coffer.coffer('container', 'rename', 'new', 'taken'), { code: 1 })
  await t.rejects(coffer.coffer('container', 'rename', 'old', 'x'), { code: 1 })
  await t.rejects(coffer.coffer('container', 'rename', 'new', 'a/b'), { code: 2 })
  await coffer.coffer('container', 'add', 'old')
  await writeFile(at('old', 'file'), 'of another container')

  // The kernel keeps listings, and has never been asked for this name.
  t.same((await readdir(coffer.mount)).sort(), ['new', 'old', 'taken'])
  await coffer.coffer('container', 'add', 'third')
  t.same((await readdir(coffer.mount)).sort(), ['new', 'old', 'taken', 'third'])
  t.equal((await stat(coffer.mount)).nlink, 6, 'its attributes are new as well')
  await coffer.coffer('container', 'delete', 'third', '--yes')
  t.same((await readdir(coffer.mount)).sort(), ['new', 'old', 'taken'])

  await coffer.kill()
  await coffer.start()
  t.same((await readdir(coffer.mount)).sort(), ['new', 'old', 'taken'])
  t.match(await coffer.json<Shown>('container', 'show', 'new'), {
    containers: [{ id: containers[0]?.id, name: 'new', files: 1, mode: '0750' }],
  })
  await appendFile(at('new', 'deep', 'file'), ', later')
  t.equal(await readFile(at('new', 'deep', 'file'), 'utf8'), 'before, after, later')
  const { events } = await coffer.json<{ events: { code: string }[] }>('events', 'show', '--all')
  t.ok(events.some(({ code }) => code === 'CONTAINER_RENAMED'))
})
