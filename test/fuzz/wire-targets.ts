// Targets: what comes over the control socket, in both directions, and from the command line.

import { rewriteArgv } from '../../src/cli/argv.ts'
import { parseDays } from '../../src/cli/durations.ts'
import { parseSize } from '../../src/cli/sizes.ts'
import { answerLine } from '../../src/control/dispatch.ts'
import { isJobProgress, readEnvelope } from '../../src/control/envelope.ts'
import { LineSplitter } from '../../src/control/lines.ts'
import { rpcErrorCodes } from '../../src/control/protocol.ts'
import { fakeTarget } from '../control/fake-target.ts'
import { accepted, type FuzzTarget } from './target.ts'

const LINE_BYTES_MAX = 64

const calls: readonly (readonly [method: string, params: unknown])[] = [
  ['rpc.discover', {}],
  ['system.status', {}],
  ['storageGroup.add', { name: 'office', compression: 'best', chunkSizeBytes: 8192 }],
  ['storageGroup.update', { name: 'office', quotaBytes: 4096 }],
  ['storageGroup.setPassphrase', { name: 'office', next: 'a passphrase that is long enough' }],
  ['storageGroup.encryption', { name: 'office', set: 'on', mode: 'internal', intervalDays: 30 }],
  ['container.add', { name: 'old', group: 'office' }],
  ['container.rename', { name: 'old', newName: 'new' }],
  ['container.delete', { name: 'new', deleteFiles: true }],
  ['events.show', { index: -3, count: 10 }],
  ['schedule.add', { day: 'daily', start: '01:00', stop: '05:00' }],
  [
    'emailAlerts.configure',
    {
      relay: 'mail.example.com',
      port: 587,
      tls: 'starttls',
      user: 'coffer',
      password: 'secret',
      senderName: 'Coffer',
      sender: 'coffer@example.com',
      to: ['admin@example.com'],
    },
  ],
  ['maintenance.reclaimSpace', { group: 'office', wait: false }],
  ['jobs.watch', { id: 1 }],
  ['storageGroup.rotateKey', { name: 'office' }],
]

const lineOf = (message: unknown): Uint8Array => Buffer.from(JSON.stringify(message))

const caller = { notify: () => true, gone: new AbortController().signal }

const controlLine: FuzzTarget = {
  name: 'control-line',
  samples: calls.map(([method, params], id) => lineOf({ jsonrpc: '2.0', id, method, params })),
  async run(input) {
    const answer = await answerLine(fakeTarget(), Buffer.from(input), caller)
    if (answer === undefined) return
    JSON.stringify(answer)
    if ('error' in answer && answer.error.code === rpcErrorCodes.internal) {
      throw new Error(`an internal error: ${answer.error.message}`)
    }
  },
}

/** The first byte says in how large pieces the rest arrives. */
const controlStream: FuzzTarget = {
  name: 'control-stream',
  samples: [
    Buffer.from('\x05{"a":1}\n{"b":2}\n\n{"c'),
    Buffer.from(`\x40${'x'.repeat(LINE_BYTES_MAX)}\ny\n`),
  ],
  run(input) {
    const splitter = new LineSplitter(LINE_BYTES_MAX)
    const pieceBytes = 1 + (input[0] ?? 0)
    const stream = Buffer.from(input.subarray(1))
    const lines: Buffer[] = []
    for (let at = 0; at < stream.length; at += pieceBytes) {
      const found = splitter.push(stream.subarray(at, at + pieceBytes))
      if (found === undefined) return
      lines.push(...found)
    }
    const whole = stream.toString('latin1').split('\n').slice(0, -1)
    if (lines.map(line => line.toString('latin1')).join('\n') !== whole.join('\n')) {
      throw new Error('other lines than were sent')
    }
    if (lines.some(line => line.length > LINE_BYTES_MAX)) throw new Error('a line beyond the limit')
  },
}

const progress = {
  id: 1,
  phase: 'copying',
  doneBytes: 5,
  totalBytes: 10,
  etaSeconds: null,
  text: null,
}

const envelope: FuzzTarget = {
  name: 'control-envelope',
  samples: [
    lineOf({ jsonrpc: '2.0', cofferVersion: '1', id: 4, result: {} }),
    lineOf({ jsonrpc: '2.0', id: null, error: { code: 1, message: 'no', data: { code: 'NO' } } }),
    lineOf({ jsonrpc: '2.0', method: 'jobs.progress', params: progress }),
  ],
  run(input) {
    const message = readEnvelope(Buffer.from(input))
    if (message?.kind === 'notification') isJobProgress(message.params)
  },
}

const words = (...list: string[]): Uint8Array => Buffer.from(list.join('\0'))

/** Words that NUL ends, as execve(2) has them. */
const argv: FuzzTarget = {
  name: 'argv',
  samples: [
    words('storage_group', '--add', '--name', 'x', '--compression_mode', 'best'),
    words('container', '--delete', '--name=x', '--delete_files'),
    words('email_alerts', '--configure', '--relay', 'r', '--', '--name'),
    words('stats', '--storage_group', '--constructor', '--name', 'a b'),
    words('container', 'add', 'x', '--group', 'g'),
  ],
  run(input) {
    const given = Buffer.from(input).toString('utf8').split('\0')
    const rewritten = rewriteArgv(given)
    // Behind family and verb there is nothing that the caller hasn't written, but for two options with a new name.
    const plain = (word: string): string => word.replaceAll('_', '-')
    const known = new Set(
      given.flatMap(word => [plain(word), plain(word.replace(/^--name=/s, ''))]),
    )
    for (const word of rewritten.slice(2)) {
      if (known.has(plain(word)) || /^--(compression|group)(=|$)/.test(word)) continue
      throw new Error(`a word that nobody wrote: ${word}`)
    }
  },
}

const amounts: FuzzTarget = {
  name: 'amounts',
  samples: ['100GiB', '1.5 TB', '4096', '30d', '7 days', '70y'].map(text => Buffer.from(text)),
  run(input) {
    const text = Buffer.from(input).toString('utf8')
    for (const parse of [parseSize, parseDays]) {
      const value = accepted(() => parse(text))
      if (value !== undefined && !Number.isSafeInteger(value)) throw new Error(`${value} as amount`)
    }
  },
}

export const wireTargets: readonly FuzzTarget[] = [
  controlLine,
  controlStream,
  envelope,
  argv,
  amounts,
]
