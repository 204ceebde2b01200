// The typed face of the process's resource limits. The native side: native/common/process.cc.

import { loadAddon } from './addon.ts'

/** RLIMIT_CORE, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_CPU, RLIMIT_AS, RLIMIT_DATA */
export type LimitName = 'core' | 'fileSize' | 'openFiles' | 'cpuTime' | 'addressSpace' | 'dataSize'

/** Infinity: no limit. Bytes, seconds, or a count of descriptors. */
export interface Limit {
  readonly soft: number
  readonly hard: number
}

interface LimitAddon {
  getLimit(name: LimitName): [soft: number, hard: number]
  setLimit(name: LimitName, soft: number, hard: number): boolean
}

export function getLimit(name: LimitName): Limit {
  const [soft, hard] = (loadAddon() as LimitAddon).getLimit(name)
  return { soft, hard }
}

/** @returns false when the process may not: raising a hard limit takes CAP_SYS_RESOURCE */
export function setLimit(name: LimitName, { soft, hard }: Limit): boolean {
  return (loadAddon() as LimitAddon).setLimit(name, soft, hard)
}
