// What is hidden in a bundle: every text that the daemon writes about a container, the log, names within names.

import t from 'tap'
import { MassDeleteWatch } from '../../src/alerts/index.ts'
import { hider, namesInTexts, textsInLog } from '../../src/daemon/redaction.ts'

t.test('names are found in the texts that have them, under their codes', t => {
  const names = namesInTexts([
    { code: 'CONTAINER_ADDED', text: 'Container a.b was added to storage group G.' },
    { code: 'CONTAINER_RENAMED', text: 'Container old was renamed to new.' },
    { code: 'CONTAINER_DELETED', text: 'Container gone was deleted with its files.' },
    { code: 'CONTAINER_DELETED', text: 'Container empty was deleted.' },
    { code: 'DAMAGED_FILE', text: "Over: Inode 7 of container torn can't be read whole: …" },
    { code: 'ALERT_ACKNOWLEDGED', text: 'The alert MASS_DELETE of wiped was acknowledged: known' },
    { code: 'ALERT_ACKNOWLEDGED', text: 'The alert DATA_LOST of 7 was acknowledged.' },
    { code: 'GROUP_ADDED', text: 'Storage group G was added.' },
    { code: 'CLEANER_PASS', text: 'Container x was added to nothing.' },
  ])
  t.same([...names], ['a.b', 'old', 'new', 'gone', 'empty', 'torn', 'wiped'])
  t.end()
})

t.test('the text of a mass delete, as it is really written', t => {
  const texts: { code: string; text: string }[] = []
  const watch = new MassDeleteWatch({
    raise: (code, text) => void texts.push({ code, text }),
    clear() {},
  })
  watch.look(0, [{ name: 'mails', files: 200, removedFiles: 0 }])
  watch.look(1000, [{ name: 'mails', files: 0, removedFiles: 200 }])
  t.same([...namesInTexts(texts)], ['mails'])
  t.end()
})

t.test('the log is searched too, whatever else is in it', t => {
  const log = [
    '{"level":"info","time":"x","code":"CONTAINER_DELETED","event":1,"msg":"Container one was deleted."}',
    '<6>{"level":"info","code":"CONTAINER_ADDED","msg":"Container two was added to storage group G."}',
    '{"level":"info","code":"CONTAINER_ADDED","msg":"Container thr',
    '    at Object.<anonymous> {',
    '{"code":5}',
    '',
  ].join('\n')
  t.same([...namesInTexts(textsInLog(log))], ['one', 'two'])
  t.end()
})

t.test('the longest name wins, and what was put in is not replaced again', t => {
  const hide = hider(['data', 'data.old', 'c', 'data'])
  t.equal(hide('data.old data dataXold c'), 'container-2 container-1 container-1Xold container-3')
  t.equal(hider([])('Container x'), 'Container x')
  t.equal(hider(['a-b', '$&'])('a-b $& aXb'), 'container-1 container-2 aXb')
  t.end()
})
