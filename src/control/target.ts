// What the control server needs from whoever it controls: one function per method. Declared here, by
// the consumer, so that control knows nothing about the daemon.

import type {
  MethodName,
  MethodParams,
  MethodResult,
  NotificationName,
  NotificationParams,
} from './methods.ts'

/** The client that called, for methods that have more to tell than their result. */
export interface ControlCaller {
  /**
   * Tell the client something in between. A client that has not taken what it was told before is told nothing.
   * @returns whether it was sent
   */
  notify<N extends NotificationName>(name: N, params: NotificationParams<N>): boolean
  /** Aborted when nobody waits for the answer any more, or the server is about to end; the reason says which. */
  readonly gone: AbortSignal
}

/**
 * One function per method of the table; `rpc.discover` is answered by the server itself. Parameters have been
 * validated and defaults filled in. A CofferError that is thrown reaches the client with its code;
 * anything else becomes a generic internal error.
 */
export type ControlTarget = {
  [M in Exclude<MethodName, 'rpc.discover'>]: (
    params: MethodParams<M>,
    caller: ControlCaller,
  ) => Promise<MethodResult<M>>
}
