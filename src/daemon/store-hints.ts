// What the machine's configuration says about a path: whether a line of /etc/fstab or a unit of systemd names it as a
// store, and whether it lies on a disk that should be mounted and isn't.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseMountInfo, unescapePath } from '../fuse/mount-point.ts'

const STORE_TYPES = new Set(['coffer', 'fuse.coffer'])

export interface StoreHints {
  /** mount point of a line in fstab that is the path or above it, and where nothing is mounted now */
  readonly unmounted: string | undefined
  /** the file that names the path as a store */
  readonly namedBy: string | undefined
}

interface FstabLine {
  readonly source: string
  readonly directory: string
  readonly type: string
}

export function parseFstab(text: string): FstabLine[] {
  const lines: FstabLine[] = []
  for (const line of text.split('\n')) {
    const [source = '', directory = '', type = ''] = line.trim().split(/\s+/)
    if (source === '' || source.startsWith('#') || !directory.startsWith('/')) continue
    lines.push({ source: unescapePath(source), directory: unescapePath(directory), type })
  }
  return lines
}

/** Mount points of fstab that are the path or above it and aren't mounted; the topmost first. */
export function unmountedAbove(
  path: string,
  fstab: readonly FstabLine[],
  mounted: ReadonlySet<string>,
): string[] {
  return fstab
    .filter(({ directory, type }) => directory !== '/' && !STORE_TYPES.has(type))
    .map(({ directory }) => directory.replace(/(?<=.)\/+$/, ''))
    .filter(each => (path === each || path.startsWith(`${each}/`)) && !mounted.has(each))
    .sort((a, b) => a.length - b.length)
}

/** Stores that the text of a unit names. @param instances of a template: what `%i` stands for */
export function storesInUnit(text: string, instances: readonly string[]): string[] {
  const found = [...text.matchAll(/^ExecStart=.*?\s--store[= ](\S+)/gm)].map(([, path = '']) =>
    path.replace(/^(["'])(.*)\1$/, '$2'),
  )
  return found.flatMap(path =>
    /%[iI]/.test(path) ? instances.map(each => path.replaceAll(/%[iI]/g, each)) : [path],
  )
}

/** @param etc /etc; @param paths of the store, with and without symbolic links */
export async function findHints(paths: readonly string[], etc = '/etc'): Promise<StoreHints> {
  const fstabPath = join(etc, 'fstab')
  const fstab = parseFstab(await textOf(fstabPath))
  const mounts = parseMountInfo(await textOf('/proc/self/mountinfo'))
  const mounted = new Set(mounts.map(({ path }) => path))
  const [unmounted] = paths.flatMap(path => unmountedAbove(path, fstab, mounted))
  const isNamed = fstab.some(({ source, type }) => STORE_TYPES.has(type) && paths.includes(source))
  const namedBy = isNamed ? fstabPath : await findUnit(paths, join(etc, 'systemd/system'))
  return { unmounted, namedBy }
}

async function findUnit(paths: readonly string[], folder: string): Promise<string | undefined> {
  const names = await namesIn(folder)
  const instances: string[] = []
  for (const wants of names.filter(name => name.endsWith('.wants'))) {
    for (const name of await namesIn(join(folder, wants))) {
      const instance = /^coffer@(.+)\.service$/.exec(name)?.[1]
      if (instance !== undefined) instances.push(instance)
    }
  }
  const units: string[] = []
  for (const name of names.filter(each => each.startsWith('coffer'))) {
    if (name.endsWith('.service')) units.push(join(folder, name))
    if (!name.endsWith('.service.d')) continue
    for (const part of await namesIn(join(folder, name))) units.push(join(folder, name, part))
  }
  for (const unit of units) {
    const own = /\/coffer@([^/]+)\.service(?:\.d\/|$)/.exec(unit)?.[1]
    const named = storesInUnit(await textOf(unit), own === undefined ? instances : [own])
    if (named.some(each => paths.includes(each))) return unit
  }
  return undefined
}

/** A file that can't be read says nothing. */
async function textOf(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '')
}

async function namesIn(path: string): Promise<string[]> {
  return await readdir(path).catch(() => [])
}
