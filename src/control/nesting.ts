// How deep a JSON text nests, found without parsing it: a line full of brackets costs a parser half a second.

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPENING: ReadonlySet<number> = new Set([0x5b, 0x7b])
const CLOSING: ReadonlySet<number> = new Set([0x5d, 0x7d])

/** Whether objects and arrays nest deeper than `levelsMax` somewhere. The text need not be valid. */
export function nestsDeeper(text: Uint8Array, levelsMax: number): boolean {
  let levels = 0
  let isQuoted = false
  for (let at = 0; at < text.length; at++) {
    const byte = text[at] ?? 0
    if (byte === QUOTE) isQuoted = !isQuoted
    else if (isQuoted) at += byte === BACKSLASH ? 1 : 0
    else if (OPENING.has(byte)) {
      if (++levels > levelsMax) return true
    } else if (CLOSING.has(byte)) levels--
  }
  return false
}
