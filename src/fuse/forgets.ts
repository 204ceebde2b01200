// FORGET and BATCH_FORGET: the kernel lets go of inodes.

import createDebug from 'debug'
import { FilesystemError } from '../errors.ts'
import type { RequestReader } from './decode.ts'
import type { FuseFilesystem } from './filesystem.ts'
import { Opcode } from './protocol.ts'

const log = createDebug('coffer:fuse')

const FORGET_IN_BYTES = 8
const BATCH_HEAD_BYTES = 8
const BATCH_ENTRY_BYTES = 16

/** Has no reply, whatever happens, and so never throws. */
export function runForget(filesystem: FuseFilesystem, request: RequestReader): void {
  try {
    if (request.length < FORGET_IN_BYTES) throw new FilesystemError('EINVAL')
    if (request.opcode === Opcode.FORGET) {
      filesystem.forget(request.node, request.u64(0))
      return
    }
    const end = BATCH_HEAD_BYTES + request.u32(0) * BATCH_ENTRY_BYTES
    if (request.length < end) throw new FilesystemError('EINVAL')
    for (let offset = BATCH_HEAD_BYTES; offset < end; offset += BATCH_ENTRY_BYTES) {
      filesystem.forget(request.u64(offset), request.u64(offset + 8))
    }
  } catch (error) {
    log('a forget failed: %O', error)
  }
}
