// Writes docs/control-protocol.md from the method table, so that the document can't disagree with it.

import { discover } from './methods.ts'
import { MAX_LINE_BYTES, rpcErrorCodes } from './protocol.ts'

const introduction = `# Control protocol

Written by src/control/document.ts from the method table; a test checks that it is current.

The daemon listens on a Unix stream socket of mode 0600. It speaks JSON-RPC 2.0: UTF-8, one message a line, at most
${MAX_LINE_BYTES} bytes a line, no batches. A request without \`id\` is carried out and not answered. Requests of one
connection run side by side, so answers may come in another order: match them by \`id\`. While a call runs, notifications
(messages with \`method\` and without \`id\`) may come before its answer.

Every answer has a member more than JSON-RPC asks for: \`cofferVersion\`, the version of the daemon. The daemon checks
each result against the schema below before it sends it, so a client of the same version may rely on the schemas.
A client of another version may not: methods, parameters and fields come and go with versions.

\`\`\`
> {"jsonrpc":"2.0","id":1,"method":"container.add","params":{"name":"backups"}}
< {"jsonrpc":"2.0","cofferVersion":"...","id":1,"error":{"code":${rpcErrorCodes.domain},"message":"...","data":{"code":"CONTAINER_EXISTS"}}}
\`\`\`

## Errors

| code | meaning |
| --- | --- |
| ${rpcErrorCodes.parse} | the line is not JSON in UTF-8 |
| ${rpcErrorCodes.invalidRequest} | the message is not a request |
| ${rpcErrorCodes.methodNotFound} | no such method |
| ${rpcErrorCodes.invalidParams} | the parameters don't fit; the message says which and why |
| ${rpcErrorCodes.internal} | an unexpected failure; the daemon's log has the details |
| ${rpcErrorCodes.domain} | refused or failed for a reason of its own; \`data.code\` is stable, programs branch on it |
| ${rpcErrorCodes.tooLarge} | the line is too long; the connection is closed |

## Methods
`

/** The whole document, with a final newline. */
export function writeProtocolDocument(): string {
  const sections = discover().methods.map(
    ({ name, summary, params, result }) =>
      `### ${name}\n\n${summary}\n\nParameters:\n\n${block(params)}\n\nResult:\n\n${block(result)}\n`,
  )
  const told = discover().notifications.map(
    ({ name, summary, params }) => `### ${name}\n\n${summary}\n\nParameters:\n\n${block(params)}\n`,
  )
  return [introduction, ...sections, '## Notifications\n', ...told].join('\n')
}

function block(schema: Record<string, unknown>): string {
  const { $schema: _, ...rest } = schema
  return `\`\`\`json\n${JSON.stringify(rest, null, 2)}\n\`\`\``
}
