// Secrets never are arguments: they come from a file, from stdin, or from a prompt without echo.

import { open } from 'node:fs/promises'

import { CofferError } from '../errors.ts'
import { firstLine } from '../first-line.ts'
import { UsageError } from './exit-codes.ts'
import type { CliIo } from './io.ts'

/** What a passphrase may measure, in bytes of UTF-8. */
export const SECRET_BYTES_MAX = 255

/** A file is read no further than this: a first line that is longer is no secret. */
const READ_BYTES_MAX = 4096

const NEWLINE = 0x0a

export interface SecretSource {
  /** path of a file whose first line is the secret; `-` = stdin. Without it the terminal is asked */
  readonly file: string | undefined
  /** what is asked for, and the option that gives it, for who has no terminal */
  readonly what: string
  readonly option: string
  /** what the terminal shows, for example `New passphrase: ` */
  readonly prompt: string
  /** what the terminal shows to have it typed again; both must agree */
  readonly confirm?: string
}

/**
 * A secret of 1 to 255 bytes, without its newline. The caller may overwrite it once it is used.
 * @throws UsageError for an empty or too long one, CofferError SECRET_UNREADABLE, NO_TERMINAL, SECRETS_DIFFER
 */
export async function readSecret(io: CliIo, source: SecretSource): Promise<Buffer> {
  if (source.file !== undefined) return checkSecret(await readFirstLine(io, source.file))
  const typed = checkSecret(await askSecret(io, source, source.prompt))
  if (source.confirm === undefined) return typed
  const again = await askSecret(io, source, source.confirm)
  const isSame = again.equals(typed)
  again.fill(0)
  if (isSame) return typed
  typed.fill(0)
  throw new CofferError('SECRETS_DIFFER', 'The two are not the same; nothing was done.')
}

async function askSecret(io: CliIo, source: SecretSource, prompt: string): Promise<Buffer> {
  const typed = await io.askSecret(prompt)
  if (typed !== undefined) return Buffer.from(typed)
  const { what, option } = source
  const message = `There is no terminal to ask for the ${what} on; give it with ${option}.`
  throw new CofferError('NO_TERMINAL', message)
}

async function readFirstLine(io: CliIo, path: string): Promise<Buffer> {
  try {
    const bytes = path === '-' ? await io.readStdin(READ_BYTES_MAX) : await readHead(path)
    return firstLine(bytes)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const name = path === '-' ? 'stdin' : path
    const message = `The secret can't be read from ${name}: ${reason}.`
    throw new CofferError('SECRET_UNREADABLE', message, { cause })
  }
}

/** By hand, and not readFile: a pipe of `<(…)` has no size, and a wrong file may be huge. */
async function readHead(path: string): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    const buffer = Buffer.alloc(READ_BYTES_MAX)
    let length = 0
    while (length < READ_BYTES_MAX && !buffer.subarray(0, length).includes(NEWLINE)) {
      const { bytesRead } = await file.read(buffer, length, READ_BYTES_MAX - length, null)
      if (bytesRead === 0) break
      length += bytesRead
    }
    return buffer.subarray(0, length)
  } finally {
    await file.close()
  }
}

function checkSecret(secret: Buffer): Buffer {
  if (secret.length === 0) throw new UsageError('An empty passphrase is no passphrase.')
  if (secret.length > SECRET_BYTES_MAX) {
    const length = secret.length >= READ_BYTES_MAX ? 'far more' : `${secret.length}`
    throw new UsageError(
      `A passphrase has at most ${SECRET_BYTES_MAX} bytes in UTF-8; this one has ${length}.`,
    )
  }
  return secret
}
