// What the control server needs from whoever it controls: one function per method. Declared here, by
// the consumer, so that control knows nothing about the daemon.

import type { MethodName, MethodParams, MethodResult } from './methods.ts'

/**
 * One function per method of the table; `rpc.discover` is answered by the server itself. Parameters have been
 * validated and defaults filled in. A CofferError that is thrown reaches the client with its code;
 * anything else becomes a generic internal error.
 */
export type ControlTarget = {
  [M in Exclude<MethodName, 'rpc.discover'>]: (params: MethodParams<M>) => Promise<MethodResult<M>>
}
