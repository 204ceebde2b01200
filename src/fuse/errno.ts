// Errno numbers by name, as Linux has them on x86-64 and arm64. The only place where an error's code becomes a number.

import { FilesystemError } from '../errors.ts'
import { reportInternalError } from '../internal-errors.ts'

const NUMBERS: ReadonlyMap<string, number> = new Map(
  Object.entries({
    EPERM: 1,
    ENOENT: 2,
    EINTR: 4,
    EIO: 5,
    ENXIO: 6,
    E2BIG: 7,
    EBADF: 9,
    EAGAIN: 11,
    EWOULDBLOCK: 11,
    ENOMEM: 12,
    EACCES: 13,
    EFAULT: 14,
    EBUSY: 16,
    EEXIST: 17,
    EXDEV: 18,
    ENODEV: 19,
    ENOTDIR: 20,
    EISDIR: 21,
    EINVAL: 22,
    ENFILE: 23,
    EMFILE: 24,
    ENOTTY: 25,
    ETXTBSY: 26,
    EFBIG: 27,
    ENOSPC: 28,
    ESPIPE: 29,
    EROFS: 30,
    EMLINK: 31,
    EPIPE: 32,
    ERANGE: 34,
    EDEADLK: 35,
    ENAMETOOLONG: 36,
    ENOLCK: 37,
    ENOSYS: 38,
    ENOTEMPTY: 39,
    ELOOP: 40,
    ENODATA: 61,
    ETIME: 62,
    EPROTO: 71,
    EBADMSG: 74,
    EOVERFLOW: 75,
    EILSEQ: 84,
    EUSERS: 87,
    EOPNOTSUPP: 95,
    ENOTSUP: 95,
    ENOBUFS: 105,
    ENOTCONN: 107,
    ESHUTDOWN: 108,
    ETIMEDOUT: 110,
    EALREADY: 114,
    EINPROGRESS: 115,
    ESTALE: 116,
    EUCLEAN: 117,
    EREMOTEIO: 121,
    EDQUOT: 122,
    ECANCELED: 125,
    ENOKEY: 126,
    EKEYREJECTED: 129,
  }),
)

const EIO = 5

/** @returns the number, `undefined` for a name that isn't known */
export function errnoNumber(name: string): number | undefined {
  return NUMBERS.get(name)
}

/** The errno that answers a request which failed with `error`. What isn't a FilesystemError is a bug: logged, EIO. */
export function errnoOf(error: unknown): number {
  if (error instanceof FilesystemError) {
    const number = NUMBERS.get(error.code)
    if (number !== undefined) return number
  }
  reportInternalError('a request of the mount', error)
  return EIO
}
