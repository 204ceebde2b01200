// How a pass lets others have their turn.

import t from 'tap'
import { Pace } from '../../src/cleaner/index.ts'

async function restMs(pace: Pace, workMs: number): Promise<number> {
  const startedMs = performance.now()
  await pace.rest(workMs)
  return performance.now() - startedMs
}

t.test('three times the work is left to clients that are active', async t => {
  let bytes = 0
  const options = { clientBytes: () => bytes, mayGoOn: () => true }
  const pace = new Pace({ ...options, isUrgent: false })
  t.ok((await restMs(pace, 100)) < 90, 'nobody is there')
  bytes++
  t.ok((await restMs(pace, 40)) >= 115)
  t.ok((await restMs(pace, 100)) < 90, 'they have gone')
  const urgent = new Pace({ ...options, isUrgent: true })
  bytes++
  t.ok((await restMs(urgent, 100)) < 90, 'clients wait for the space')
})

t.test('it waits between windows, and a stop ends every wait', async t => {
  let mayGoOn = false
  const pace = new Pace({ clientBytes: () => 0, isUrgent: false, mayGoOn: () => mayGoOn })
  const waiting = pace.pauseBetween()
  pace.stop()
  await t.rejects(waiting, { message: 'The pass was stopped.' })
  await t.rejects(pace.step(), { message: 'The pass was stopped.' })
  await t.rejects(pace.rest(1), { message: 'The pass was stopped.' })
  await pace.breathe()
  mayGoOn = true
  const another = new Pace({ clientBytes: () => 0, isUrgent: false, mayGoOn: () => mayGoOn })
  await another.pauseBetween()
  t.pass('it goes on')
})

t.test('the event loop is let go of', async t => {
  const pace = new Pace({ clientBytes: () => 0, isUrgent: false, mayGoOn: () => true })
  let turns = 0
  const counting = setInterval(() => turns++, 1)
  const endMs = performance.now() + 300
  while (performance.now() < endMs) await pace.step()
  clearInterval(counting)
  t.ok(turns > 5, `${turns} timers came through`)
})
