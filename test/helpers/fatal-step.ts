// For processes that are to die by kill -9 at the n-th change that they make to the disk: counts the calls of
// node:fs/promises that change something, each before, in the middle where it has one, and after.

import fs from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

type Call = (...parameters: unknown[]) => Promise<unknown>

const FUNCTIONS = ['rename', 'unlink', 'rm', 'mkdir', 'truncate', 'writeFile', 'copyFile'] as const
const METHODS = ['write', 'writev', 'sync', 'datasync', 'truncate', 'chmod'] as const

export class FatalStep {
  readonly #fatal: number
  #count = 0
  isCounting = false

  /** @param fatal the step that is the last thing this process does; 0 = none */
  constructor(fatal: number) {
    this.#fatal = fatal
  }

  get count(): number {
    return this.#count
  }

  pass(): void {
    if (this.isCounting && ++this.#count === this.#fatal) process.kill(process.pid, 'SIGKILL')
  }

  /** The same function; its begin and its end are steps. */
  around(call: Call): Call {
    const pass = (): void => this.pass()
    return async function (this: unknown, ...parameters) {
      pass()
      const result = await Reflect.apply(call, this, parameters)
      pass()
      return result
    }
  }

  /** From here on node:fs/promises is counted, whoever imported it and however. @param path any file, for its handle */
  async instrumentFiles(path: string): Promise<void> {
    const handle = await fs.open(path)
    const methods = Object.getPrototypeOf(handle) as Record<string, Call>
    await handle.close()
    for (const name of METHODS) {
      const method = methods[name]
      if (method !== undefined) methods[name] = this.around(method)
    }
    this.#instrumentWriteFile(methods)
    const functions = fs as unknown as Record<string, Call>
    for (const name of FUNCTIONS) {
      const call = functions[name]
      if (call !== undefined) functions[name] = this.around(call)
    }
    const { open } = functions
    if (open === undefined) throw new Error('node:fs/promises has no open')
    const counted = this.around(open)
    functions['open'] = (...parameters) =>
      isForReading(parameters[1]) ? open(...parameters) : counted(...parameters)
    syncBuiltinESMExports()
  }

  /** Half of the bytes, a step, the others. */
  #instrumentWriteFile(methods: Record<string, Call>): void {
    const { writeFile } = methods
    if (writeFile === undefined) throw new Error('a file handle has no writeFile')
    const pass = (): void => this.pass()
    methods['writeFile'] = async function (this: FileHandle, content) {
      const bytes = Buffer.from(content as Uint8Array)
      const half = Math.floor(bytes.length / 2)
      pass()
      await Reflect.apply(writeFile, this, [bytes.subarray(0, half)])
      pass()
      await Reflect.apply(writeFile, this, [bytes.subarray(half)])
      pass()
      return undefined
    }
  }
}

function isForReading(flags: unknown): boolean {
  return flags === undefined || flags === 'r'
}
