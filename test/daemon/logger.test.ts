// The journal's priorities in front of the log's lines.

import { pino } from 'pino'
import t from 'tap'
import { journalStream } from '../../src/daemon/logger.ts'

t.test("each level gets syslog's number", async t => {
  const lines: string[] = []
  const log = pino(
    { level: 'debug', base: null },
    journalStream(line => void lines.push(line)),
  )
  log.error('a')
  log.warn('b')
  log.info('c')
  log.debug('d')
  t.strictSame(
    lines.map(line => line.slice(0, 4)),
    ['<3>{', '<4>{', '<6>{', '<7>{'],
  )
})
