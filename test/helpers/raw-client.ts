// A client of the control socket without manners: sends what it is told, collects what comes.

import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Answer {
  id: number | string | null
  result?: unknown
  error?: { code: number; message: string; data?: { code: string } }
}

export class RawClient {
  readonly socket: Socket
  readonly answers: Answer[] = []
  readonly closed: Promise<void>
  /** The longest line that came, in characters. */
  longest = 0
  #text = ''

  constructor(path: string) {
    this.socket = connect(path)
    this.socket.setEncoding('utf8')
    this.socket.on('error', () => {})
    this.closed = new Promise(resolve => this.socket.once('close', () => resolve()))
    this.socket.on('data', (text: string) => {
      const lines = (this.#text + text).split('\n')
      this.#text = lines.pop() ?? ''
      for (const line of lines) {
        this.longest = Math.max(this.longest, line.length)
        this.answers.push(JSON.parse(line))
      }
    })
  }

  /** The first `count` answers, once they are there; fewer when the connection ends before. */
  async collect(count: number): Promise<Answer[]> {
    while (this.answers.length < count && !this.socket.closed) await sleep(2)
    return this.answers.slice(0, count)
  }
}
