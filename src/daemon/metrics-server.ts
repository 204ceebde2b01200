// Serves the statistics to a Prometheus that scrapes: one page over HTTP, to this machine only, and only when asked to.
// Whoever can connect may read; nobody may cost the daemon more than a text a second and a few connections.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import createDebug from 'debug'
import { claimSocketPath } from '../control/index.ts'
import { CofferError } from '../errors.ts'
import { reportInternalError } from '../internal-errors.ts'
import type { MetricsPlace } from './contract.ts'
import type { PrometheusText } from './prometheus.ts'

const log = createDebug('coffer:daemon')

const HOST = '127.0.0.1'
const PATH = '/metrics'
/** A scraper needs one. */
const CONNECTIONS_MAX = 8
const HEADER_BYTES_MAX = 8 * 1024
const PATIENCE_MS = 5000
/** A text that is no older answers the next request too. */
const FRESH_MS = 1000
/** For the owner and the group: 0777 minus this is 0660. */
const SOCKET_UMASK = 0o117

export interface MetricsServer {
  /** the port that was chosen when 0 was asked for; undefined on a socket */
  readonly port: number | undefined
  close(): Promise<void>
}

/** @throws CofferError METRICS_UNAVAILABLE, SOCKET_* when the place can't be listened on */
export async function startMetricsServer(
  place: MetricsPlace,
  write: () => Promise<PrometheusText>,
): Promise<MetricsServer> {
  const page = new Page(write)
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: PATIENCE_MS,
      requestTimeout: PATIENCE_MS,
      connectionsCheckingInterval: PATIENCE_MS,
    },
    (request, response) => void page.answer(request, response),
  )
  server.maxConnections = CONNECTIONS_MAX
  // Also for those that don't take their answer.
  server.setTimeout(PATIENCE_MS)
  if ('socket' in place) await claimSocketPath(place.socket)
  await listen(server, place)
  // An error of accept (out of descriptors) passes; the daemon must not die of it.
  server.on('error', error => log('metrics: %O', error))
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : undefined,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function listen(server: Server, place: MetricsPlace): Promise<void> {
  const listening = once(server, 'listening')
  if ('port' in place) server.listen(place.port, HOST)
  else {
    // Bound with its final mode, so that there is no moment for others.
    const umask = process.umask(SOCKET_UMASK)
    try {
      server.listen(place.socket)
    } finally {
      process.umask(umask)
    }
  }
  try {
    await listening
  } catch (cause) {
    const where = 'port' in place ? `port ${place.port}` : place.socket
    const reason = cause instanceof Error ? cause.message : String(cause)
    const text = `The metrics can't be served on ${where}: ${reason}.`
    throw new CofferError('METRICS_UNAVAILABLE', text, { cause })
  }
}

/** The one page. */
class Page {
  readonly #write: () => Promise<PrometheusText>
  #latest: Promise<PrometheusText> | undefined
  #latestAtMs = 0

  constructor(write: () => Promise<PrometheusText>) {
    this.#write = write
  }

  /** Never rejects. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', error => log('metrics: %O', error))
    // A connection an answer: nothing idle is left to be counted or closed.
    response.setHeader('connection', 'close')
    const [path] = (request.url ?? '').split('?')
    if (path !== PATH) return end(response, 404, `Only ${PATH} is here.\n`)
    if (request.method !== 'GET') {
      response.setHeader('allow', 'GET')
      return end(response, 405, 'Only GET is answered.\n')
    }
    try {
      const { contentType, text } = await this.#text()
      end(response, 200, text, contentType)
    } catch (error) {
      reportInternalError('the metrics', error)
      end(response, 500, 'The statistics could not be collected.\n')
    }
  }

  #text(): Promise<PrometheusText> {
    const nowMs = performance.now()
    if (this.#latest === undefined || nowMs - this.#latestAtMs >= FRESH_MS) {
      this.#latestAtMs = nowMs
      this.#latest = this.#write()
    }
    return this.#latest
  }
}

function end(response: ServerResponse, status: number, text: string, type = 'text/plain'): void {
  response.writeHead(status, { 'content-type': type, 'x-content-type-options': 'nosniff' })
  response.end(text)
}
