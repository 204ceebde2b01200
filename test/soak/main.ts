// The program behind scripts/soak: runs, says how it goes, and ends with 1 when something is kept.

import { growthOf, soak } from './soak.ts'
import type { Sample } from './soak.ts'

const MINUTES_DEFAULT = 120
const LINES = 20
const MEBIBYTE = 2 ** 20
const inMebibytes = (bytes: number): string => (bytes / MEBIBYTE).toFixed(1)

function lineOf(sample: Sample): string {
  const { seconds, rssBytes, anonymousBytes, descriptors, held, runningJobs } = sample
  return [
    `${Math.round(seconds)} s`,
    `${inMebibytes(rssBytes)} MiB resident`,
    `${inMebibytes(anonymousBytes)} anonymous`,
    `${inMebibytes(held.heapBytes)} heap`,
    `${inMebibytes(held.externalBytes)} external`,
    `${descriptors} descriptors`,
    `${held.openFiles} open files`,
    `${held.cachedInodes}/${held.referredInodes} inodes`,
    `${held.requestsWaiting} requests`,
    `${runningJobs} jobs`,
  ].join(', ')
}

const minutes = Number(process.argv[2] ?? MINUTES_DEFAULT)
if (!(minutes > 0)) {
  console.error('usage: scripts/soak [minutes]')
  process.exitCode = 2
} else {
  const report = await soak(minutes * 60_000, true)
  const step = Math.ceil(report.samples.length / LINES)
  for (const sample of report.samples.filter((_, index) => index % step === 0)) {
    console.log(lineOf(sample))
  }
  console.log(`at rest: ${lineOf(report.atRest)}`)
  console.log(`rounds: ${JSON.stringify(report.rounds)}`)
  const anonymousGrowth = growthOf(report.samples, ({ anonymousBytes }) => anonymousBytes)
  const heapGrowth = growthOf(report.samples, ({ held }) => held.heapBytes)
  console.log(
    `after the warm-up: resident memory ${inMebibytes(report.growthBytes)} MiB, ` +
      `anonymous ${inMebibytes(anonymousGrowth)} MiB, heap ${inMebibytes(heapGrowth)} MiB, descriptors ${report.descriptorGrowth.toFixed(1)}`,
  )
  for (const complaint of report.complaints) console.error(`soak: ${complaint}`)
  if (report.complaints.length > 0) process.exitCode = 1
}
