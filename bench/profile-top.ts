// Where a program spent its time: the functions of a .cpuprofile of node --cpu-prof with the most time of their own.
//
//   node dist/bench/profile-top.js FILE_OR_DIRECTORY [COUNT]     of a directory: its biggest profile, which is the daemon's

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ownTimes, type CpuProfile } from './profile.ts'
import { layOut } from './table.ts'

const COUNT = 25
/** Where the program waits: not a cost. */
const WAITING = '(idle)'

function biggestProfile(path: string): string {
  if (!statSync(path).isDirectory()) return path
  const profiles = readdirSync(path)
    .filter(name => name.endsWith('.cpuprofile'))
    .map(name => join(path, name))
    .toSorted((left, right) => statSync(right).size - statSync(left).size)
  const [biggest] = profiles
  if (biggest === undefined) throw new Error(`${path} holds no profile`)
  return biggest
}

function main([path, count]: readonly string[]): void {
  if (path === undefined) throw new Error('usage: profile-top.js FILE_OR_DIRECTORY [COUNT]')
  const times = ownTimes(JSON.parse(readFileSync(biggestProfile(path), 'utf8')) as CpuProfile)
  const total = times.reduce((sum, each) => sum + each.microseconds, 0)
  const waited = times.find(each => each.name === WAITING)?.microseconds ?? 0
  const busy = total - waited
  console.log(`busy ${(busy / 1e6).toFixed(1)} s of ${(total / 1e6).toFixed(1)} s`)
  const lines = times
    .filter(each => each.name !== WAITING)
    .slice(0, Number(count ?? COUNT))
    .map(({ name, microseconds }) => [
      name,
      `${((microseconds / busy) * 100).toFixed(1)} %`,
      `${(microseconds / 1000).toFixed(0)} ms`,
    ])
  console.log(layOut(lines))
}

main(process.argv.slice(2))
