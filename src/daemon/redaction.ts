// Hides the names of containers in what leaves the machine: those that there are, and those that there were, as the
// history and the log tell them.

import { z } from 'zod'
import type { EventCode } from '../alerts/index.ts'

/** What all texts have in common that may name a container. */
export interface CodedText {
  readonly code: string
  readonly text: string
}

/** Texts of these codes name containers, at these places. A new text that does so belongs in here. */
const NAMES_IN_TEXTS: Partial<Record<EventCode, readonly RegExp[]>> = {
  CONTAINER_ADDED: [/^Container (\S+) was added to /],
  CONTAINER_RENAMED: [/^Container (\S+) was renamed to /, / was renamed to (\S+)\.$/],
  CONTAINER_DELETED: [/^Container (\S+) was deleted/],
  ALERT_ACKNOWLEDGED: [/^The alert MASS_DELETE of (\S+) was acknowledged/],
  MASS_DELETE: [/ of container (\S+) were deleted /],
  DAMAGED_FILE: [/ of container (\S+) can't be read /],
}
const PATTERNS = new Map<string, readonly RegExp[]>(Object.entries(NAMES_IN_TEXTS))

const logLine = z.object({ code: z.string(), msg: z.string() })

/** The names of containers that events and alerts tell. */
export function namesInTexts(texts: Iterable<CodedText>): Set<string> {
  const names = new Set<string>()
  for (const { code, text } of texts) {
    for (const pattern of PATTERNS.get(code) ?? []) {
      const name = pattern.exec(text)?.[1]
      if (name !== undefined) names.add(name)
    }
  }
  return names
}

/** The events in the daemon's log: it may reach further back than the history. */
export function textsInLog(log: string): CodedText[] {
  const texts: CodedText[] = []
  for (const line of log.split('\n')) {
    const found = logLine.safeParse(parseLine(line))
    if (found.success) texts.push({ code: found.data.code, text: found.data.msg })
  }
  return texts
}

/** Undefined for what is no line of the log's own, e.g. a stack of Node's. */
function parseLine(line: string): unknown {
  const start = line.indexOf('{')
  if (start === -1) return undefined
  try {
    return JSON.parse(line.slice(start))
  } catch {
    return undefined
  }
}

/**
 * Replaces names of containers by numbers, and so the beginnings of the paths below them. A name may be a common word
 * ("data"): then too much is hidden, never too little.
 */
export function hider(names: Iterable<string>): (text: string) => string {
  const numbers = new Map([...new Set(names)].map((name, index) => [name, index + 1]))
  if (numbers.size === 0) return text => text
  // All at once: what has been put in place of one name is not searched for the next. The longest comes first.
  const alternatives = [...numbers.keys()].sort((a, b) => b.length - a.length).map(escapePattern)
  const pattern = new RegExp(alternatives.join('|'), 'g')
  return text => text.replaceAll(pattern, name => `container-${numbers.get(name) ?? ''}`)
}

function escapePattern(text: string): string {
  return text.replaceAll(/[^\w]/g, String.raw`\$&`)
}
