// What a file with a secret holds: its first line. One rule for the command line and for a start.

const NEWLINE = 0x0a
const CARRIAGE_RETURN = 0x0d

/** Without its line end, also that of other systems. A view, so that wiping the bytes wipes the line. */
export function firstLine(bytes: Buffer): Buffer {
  const end = bytes.indexOf(NEWLINE)
  const line = bytes.subarray(0, end === -1 ? bytes.length : end)
  return line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line
}
