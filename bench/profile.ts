// What a .cpuprofile of node --cpu-prof says.

import { basename } from 'node:path'

export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: {
      readonly functionName: string
      readonly url: string
      readonly lineNumber: number
    }
  }[]
  readonly samples: readonly number[]
  /** microseconds before each sample */
  readonly timeDeltas: readonly number[]
}

export interface OwnTime {
  readonly name: string
  readonly microseconds: number
}

/** The functions of a profile, those with the most time of their own first. */
export function ownTimes(profile: CpuProfile): OwnTime[] {
  const names = new Map(
    profile.nodes.map(({ id, callFrame }) => {
      const { functionName, url, lineNumber } = callFrame
      const place = url === '' ? '' : `  ${basename(url)}:${lineNumber + 1}`
      return [id, `${functionName || '(anonymous)'}${place}`] as const
    }),
  )
  const times = new Map<string, number>()
  for (const [index, id] of profile.samples.entries()) {
    const name = names.get(id) ?? '(unknown)'
    times.set(name, (times.get(name) ?? 0) + (profile.timeDeltas[index] ?? 0))
  }
  return [...times]
    .map(([name, microseconds]) => ({ name, microseconds }))
    .toSorted((left, right) => right.microseconds - left.microseconds)
}
