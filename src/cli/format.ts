// Lays out what people read: `Key : value` blocks, tables, durations.

export type Pair = readonly [key: string, value: string | number]

const SECONDS_PER_MINUTE = 60
const SECONDS_PER_HOUR = 3600
const SECONDS_PER_DAY = 86_400

/** Aligned `Key : value` lines. */
export function formatPairs(pairs: readonly Pair[]): string {
  const width = Math.max(0, ...pairs.map(([key]) => key.length))
  return pairs.map(([key, value]) => `${key.padEnd(width)} : ${printable(value)}\n`).join('')
}

/** Columns as wide as their widest cell; numbers to the right. */
export function formatTable(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const texts = [head, ...rows.map(row => row.map(printable))]
  const widths = head.map((_, column) => Math.max(...texts.map(row => row[column]?.length ?? 0)))
  const isNumber = head.map(
    (_, column) => rows.length > 0 && rows.every(row => typeof row[column] === 'number'),
  )
  return texts
    .map(row => {
      const cells = row.map((text, column) =>
        isNumber[column] === true
          ? text.padStart(widths[column] ?? 0)
          : text.padEnd(widths[column] ?? 0),
      )
      return `${cells.join('  ').trimEnd()}\n`
    })
    .join('')
}

/** The line below a list that is cut short. */
export function formatRest(count: number): string {
  return count > 0 ? `and ${count} more.\n` : ''
}

/** `3d 04h 05m 06s`, without the leading parts that are zero. */
export function formatDuration(seconds: number): string {
  const whole = Math.floor(seconds)
  const parts: (readonly [number, string])[] = [
    [Math.floor(whole / SECONDS_PER_DAY), 'd'],
    [Math.floor(whole / SECONDS_PER_HOUR) % 24, 'h'],
    [Math.floor(whole / SECONDS_PER_MINUTE) % 60, 'm'],
    [whole % 60, 's'],
  ]
  const first = parts.findIndex(([value]) => value > 0)
  const shown = first === -1 ? parts.slice(-1) : parts.slice(first)
  return shown
    .map(([value, unit], index) => `${index === 0 ? value : String(value).padStart(2, '0')}${unit}`)
    .join(' ')
}

export function formatPercent(percent: number): string {
  return `${percent.toFixed(2)} %`
}

/** Control characters, separators of lines, and marks that turn the direction of text around. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu
const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** Returns one line without control characters, which are shown escaped: a name may hold a terminal's commands. */
export function printable(value: string | number): string {
  return String(value).replaceAll(UNPRINTABLE, escaped)
}

/** The same for text that may have several lines. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

/** `\n`, `\x1b`, `\u2028` */
function escaped(character: string): string {
  const code = character.charCodeAt(0).toString(16)
  const long = code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u${code.padStart(4, '0')}`
  return SHORT_ESCAPES[character] ?? long
}
