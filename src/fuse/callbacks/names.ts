// Names on their way through a callback package. Both packages take the kernel's bytes for UTF-8 and put U+FFFD in the place
// of whatever isn't, so that two names may look alike and the real one can't be told. A name with that character is therefore
// never resolved and never made: EILSEQ. Listings show it, so that a program which copies a directory meets the error
// instead of leaving a file out.

import { FilesystemError } from '../../errors.ts'
import type { ByteString } from '../filesystem.ts'
import { NAME_BYTES_MAX } from '../protocol.ts'

const REPLACEMENT = '\ufffd'
/** of the replacement, in UTF-8 */
const REPLACEMENT_BYTES = 3

/** @throws FilesystemError EILSEQ when bytes were lost */
export function toBytes(text: string): ByteString {
  if (text.includes(REPLACEMENT)) throw new FilesystemError('EILSEQ')
  return Buffer.from(text, 'utf8').toString('latin1')
}

/** For what has to come back unchanged: a link's target, an attribute's name. @throws FilesystemError EILSEQ */
export function toExactText(bytes: ByteString): string {
  const text = Buffer.from(bytes, 'latin1').toString('utf8')
  if (text.includes(REPLACEMENT)) throw new FilesystemError('EILSEQ')
  return text
}

/** For a listing: what isn't UTF-8 is replaced, and cut where the replacements leave no room. */
export function toListedText(name: ByteString): string {
  const text = Buffer.from(name, 'latin1').toString('utf8')
  if (!text.includes(REPLACEMENT) || Buffer.byteLength(text) <= NAME_BYTES_MAX) return text
  let shown = ''
  let bytes = REPLACEMENT_BYTES
  for (const character of text) {
    bytes += Buffer.byteLength(character)
    if (bytes > NAME_BYTES_MAX) break
    shown += character
  }
  // Whatever was cut off: the name must stay one that nobody can resolve.
  return shown + REPLACEMENT
}

/** The names that an absolute path of the packages consists of. @throws FilesystemError EILSEQ, ENAMETOOLONG */
export function pathNames(path: string): ByteString[] {
  const names: ByteString[] = []
  for (const part of path.split('/')) {
    if (part === '') continue
    const name = toBytes(part)
    if (name.length > NAME_BYTES_MAX) throw new FilesystemError('ENAMETOOLONG')
    names.push(name)
  }
  return names
}
