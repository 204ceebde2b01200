// Diagnostics bundles: what a developer needs to understand a store from afar. Nothing secret goes in: every file of a
// bundle is written here, from values that hold no keys, and the log.

import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { mkdir, mkdtemp, open, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { arch, cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ControlTarget, DiagnosticsBundle } from '../control/index.ts'
import { CofferError } from '../errors.ts'
import { hider, namesInTexts, textsInLog } from './redaction.ts'
import type { Storage } from './storage.ts'

const run = promisify(execFile)

/** The end of the log is what matters. */
const LOG_BYTES_MAX = 4 * 1024 * 1024
const EVENTS_MAX = 10_000
const BUNDLES_MAX = 20

export interface DiagnosticsOptions {
  readonly storage: Storage
  readonly storePath: string
  readonly diagnosticsPath: string
  readonly version: string
  readonly now: () => Date
  readonly statistics: () => Promise<unknown>
}

type DiagnosticsMethods = Pick<
  ControlTarget,
  'diagnostics.collect' | 'diagnostics.show' | 'diagnostics.delete'
>

export function diagnosticsMethods(options: DiagnosticsOptions): DiagnosticsMethods {
  const { storage, diagnosticsPath } = options
  return {
    'diagnostics.collect': async ({ includeNames }) => {
      const bundle = await collect(options, includeNames)
      storage.alerting.events.record('DIAGNOSTICS_COLLECTED', 'info', `Made ${bundle.path}.`)
      return bundle
    },
    'diagnostics.show': async () => ({ bundles: await list(diagnosticsPath) }),
    'diagnostics.delete': async ({ name }) => {
      await rm(join(diagnosticsPath, name)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
        throw new CofferError('BUNDLE_NOT_FOUND', `There is no diagnostics bundle ${name}.`)
      })
      return {}
    },
  }
}

async function collect(
  options: DiagnosticsOptions,
  includeNames: boolean,
): Promise<DiagnosticsBundle> {
  const { diagnosticsPath, now } = options
  await mkdir(diagnosticsPath, { recursive: true, mode: 0o700 })
  if ((await list(diagnosticsPath)).length >= BUNDLES_MAX) {
    const text = `There are ${BUNDLES_MAX} bundles; delete one with "coffer maintenance diagnostics delete NAME".`
    throw new CofferError('BUNDLE_LIMIT', text)
  }
  const name = `coffer-${now().toISOString().replaceAll(/[:.]/g, '-')}.tar.gz`
  const path = join(diagnosticsPath, name)
  const work = await mkdtemp(join(diagnosticsPath, '.work-'))
  try {
    for (const [file, text] of await contents(options, includeNames)) {
      await writeFile(join(work, file), text, { mode: 0o600 })
    }
    // Made here, since tar would make it readable for everybody.
    await writeFile(path, '', { mode: 0o600, flag: 'wx' })
    await run('tar', ['-czf', path, '-C', work, '.'])
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return { name, path, sizeBytes: (await stat(path)).size }
}

async function contents(
  options: DiagnosticsOptions,
  includeNames: boolean,
): Promise<Map<string, string>> {
  const { storage, version, storePath } = options
  const alerts = storage.alerts.list()
  const events = storage.alerting.events.select({ count: EVENTS_MAX })
  const log = await tail(join(storePath, 'daemon.log'))
  const names = includeNames
    ? []
    : [
        ...storage.vfs.containers().map(({ name }) => name),
        ...namesInTexts([...events, ...alerts, ...textsInLog(log)]),
      ]
  const hide = hider(names)
  const json = (value: unknown): string => `${hide(JSON.stringify(value, null, 2))}\n`
  const files = new Map([
    ['versions.json', json({ coffer: version, versions: process.versions, ...machine() })],
    ['statistics.json', json(await options.statistics())],
    ['alerts.json', json({ alerts, moreAlerts: storage.alerts.overflows() })],
    ['events.json', json(events)],
    ['settings.json', json(settings(storage))],
    ['log', hide(log)],
  ])
  return files
}

function machine() {
  return { arch: arch(), release: release(), cpus: cpus().length, memoryBytes: totalmem() }
}

/** Named field by field, so that a secret that is added to a group one day doesn't come along. */
function settings({ groups, vfs, alerting }: Storage) {
  return {
    groups: groups.list().map(({ id, name, compression, chunkSizeBytes }) => ({
      id,
      name,
      compression,
      chunkSizeBytes,
    })),
    containers: vfs.containers().map(({ id, name, group, fileCount, logicalBytes }) => ({
      id,
      name,
      group,
      fileCount,
      logicalBytes,
    })),
    mail: { isEnabled: alerting.mailBook.isEnabled, settings: alerting.mailBook.settings },
  }
}

async function tail(path: string): Promise<string> {
  // Without waiting for a writer: it could be a named pipe.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(() => undefined)
  // In the foreground the log goes wherever standard error does.
  if (file === undefined) return ''
  try {
    const stats = await file.stat()
    const size = stats.isFile() ? stats.size : 0
    const buffer = Buffer.alloc(Math.min(size, LOG_BYTES_MAX))
    const { bytesRead } = await file.read(buffer, 0, buffer.length, size - buffer.length)
    const text = buffer.toString('utf8', 0, bytesRead)
    // Half a line at the beginning can't be searched for names.
    return size > LOG_BYTES_MAX ? text.slice(text.indexOf('\n') + 1) : text
  } finally {
    await file.close()
  }
}

async function list(directory: string): Promise<DiagnosticsBundle[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const bundles = names.filter(name => name.endsWith('.tar.gz')).sort()
  return await Promise.all(
    bundles.map(async name => {
      const path = join(directory, name)
      return { name, path, sizeBytes: (await stat(path)).size }
    }),
  )
}
