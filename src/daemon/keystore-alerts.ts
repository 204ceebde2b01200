// What the administrator hears of the places of a keystore.

import type { AlertBoard } from '../alerts/index.ts'
import type { PlaceFinding } from '../crypto/index.ts'

type KeystoreAlert =
  | 'KEYSTORE_DAMAGED'
  | 'KEYSTORE_DIFFERS'
  | 'KEYSTORE_ASIDE'
  | 'KEYSTORE_NOT_ERASED'
  | 'KEYSTORE_REPAIRED'

const WORDS: Record<PlaceFinding['what'], string> = {
  missing: 'is missing',
  damaged: 'is damaged',
  unreadable: 'can not be read',
  unwritable: 'can not be written',
  older: 'is older than the other one',
  different: 'differs from the other one',
  foreign: 'belongs to another store or group',
  unproved: 'is not proved by the passphrase',
  'not-erased': 'was replaced, but the old file could not be overwritten',
}

/** Raises and clears a group's alerts about the places of its keystore. @param name of the group */
export function reportPlaces(
  alerts: Pick<AlertBoard, 'raise' | 'clear'>,
  name: string,
  findings: readonly PlaceFinding[],
): void {
  const texts = new Map<KeystoreAlert, string[]>()
  for (const finding of findings) {
    const code = codeOf(finding)
    texts.set(code, [...(texts.get(code) ?? []), textOf(name, finding)])
  }
  for (const code of ['KEYSTORE_DAMAGED', 'KEYSTORE_DIFFERS', 'KEYSTORE_NOT_ERASED'] as const) {
    if (!texts.has(code)) alerts.clear(code, name)
  }
  if (findings.length === 0) alerts.clear('KEYSTORE_REPAIRED', name)
  for (const [code, lines] of texts) alerts.raise(code, lines.join(' '), name)
}

function codeOf({ what, isRepaired, asidePath }: PlaceFinding): KeystoreAlert {
  if (what === 'not-erased') return 'KEYSTORE_NOT_ERASED'
  if (isRepaired) {
    return asidePath !== undefined && what !== 'damaged' && what !== 'unreadable'
      ? 'KEYSTORE_ASIDE'
      : 'KEYSTORE_REPAIRED'
  }
  return what === 'older' || what === 'different' || what === 'foreign'
    ? 'KEYSTORE_DIFFERS'
    : 'KEYSTORE_DAMAGED'
}

function textOf(name: string, finding: PlaceFinding): string {
  const { path, what, isRepaired, sequence, asidePath } = finding
  const number = sequence === undefined ? '' : ` (sequence ${sequence})`
  if (what === 'not-erased') {
    return `A file beside ${path}, an earlier keystore of ${name}, could not be overwritten.`
  }
  if (!isRepaired) {
    const outcome =
      what === 'unwritable'
        ? 'There is only one copy.'
        : 'The next unlock decides what becomes of it.'
    return `A copy of the keystore of ${name} ${WORDS[what]}: ${path}${number}. ${outcome}`
  }
  const kept = asidePath === undefined ? '' : ` What was there is in ${asidePath}.`
  return `A copy of the keystore of ${name} ${WORDS[what]}: ${path}${number}. It was written again.${kept}`
}
