// A program of its own, since its end is what frees the memory: writes to so many bytes of it.

const PIECE_BYTES = 2 ** 28

const bytes = Number(process.argv[2])
if (!Number.isFinite(bytes) || bytes <= 0) throw new Error('how many bytes?')
const pieces: Buffer[] = []
for (let done = 0; done < bytes; done += PIECE_BYTES) {
  pieces.push(Buffer.allocUnsafeSlow(PIECE_BYTES).fill(1))
}
