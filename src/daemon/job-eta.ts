// How long a phase of a job still takes, judged by how fast it went so far.

export interface PhaseProgress {
  /** since the phase began, by a clock that may jump */
  readonly elapsedSeconds: number
  /** what was done already when the phase began: a phase that goes on after a restart did not do it in this time */
  readonly firstBytes: number
  readonly doneBytes: number
  /** 0 when nobody knows */
  readonly totalBytes: number
}

/** Whole seconds until the phase ends; null when there is nothing to judge by. */
export function phaseEtaSeconds(phase: PhaseProgress): number | null {
  const { elapsedSeconds, firstBytes, doneBytes, totalBytes } = phase
  if (totalBytes === 0) return null
  if (doneBytes >= totalBytes) return 0
  const gainedBytes = doneBytes - firstBytes
  if (gainedBytes <= 0 || elapsedSeconds <= 0) return null
  return Math.ceil((elapsedSeconds * (totalBytes - doneBytes)) / gainedBytes)
}
