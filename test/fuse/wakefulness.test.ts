import { closeSync, openSync, readSync } from 'node:fs'
import os from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { openIdleProcessors, Wakefulness } from '../../src/fuse/wakefulness.ts'

function setUp() {
  const states: string[] = []
  let look: ((nowMs: number) => void) | undefined
  const wakefulness = new Wakefulness(
    {
      keepAwake: isAwake => states.push(isAwake ? 'awake' : 'asleep'),
      close: () => states.push('closed'),
    },
    watched => {
      look = watched
      return () => {
        look = undefined
      }
    },
  )
  /** Asks at equal intervals. @returns the time of the last one */
  const ask = (fromMs: number, count: number, intervalMs: number): number => {
    for (let index = 0; index < count; index++) wakefulness.asked(fromMs + index * intervalMs)
    return fromMs + (count - 1) * intervalMs
  }
  return {
    wakefulness,
    states,
    ask,
    later: (nowMs: number) => look?.(nowMs),
    isWatched: () => look !== undefined,
  }
}

t.test('who asks every other millisecond or less often keeps nothing awake', async t => {
  const { states, ask, isWatched } = setUp()
  ask(1000, 5000, 2)
  t.same(states, [])
  t.notOk(isWatched())
})

t.test('who asks ten times as often does, until some time after', async t => {
  const { states, ask, later, isWatched } = setUp()
  const lastMs = ask(1000, 500, 0.2)
  t.same(states, ['awake'], 'told once')
  later(lastMs + 10)
  t.same(states, ['awake'])
  later(lastMs + 60)
  t.same(states, ['awake', 'asleep'])
  t.notOk(isWatched(), 'nothing runs on')
  ask(lastMs + 100, 500, 0.2)
  t.same(states, ['awake', 'asleep', 'awake'])
})

t.test('many requests at once after a pause are no burst', async t => {
  const { states, wakefulness } = setUp()
  for (let pause = 1; pause < 100; pause++) {
    for (let index = 0; index < 100; index++) wakefulness.asked(pause * 1000)
  }
  t.same(states, [])
})

t.test('at the end processors may sleep', async t => {
  const { states, ask, wakefulness, isWatched } = setUp()
  const lastMs = ask(1000, 500, 0.2)
  wakefulness.close()
  wakefulness.close()
  t.same(states, ['awake', 'asleep', 'closed'])
  ask(lastMs, 500, 0.2)
  t.same(states, ['awake', 'asleep', 'closed'])
  t.notOk(isWatched())
})

t.test('a kernel that refuses disturbs nobody, and is asked once', async t => {
  let asked = 0
  const wakefulness = new Wakefulness({
    keepAwake: () => {
      asked++
      throw new Error('EIO')
    },
    close: () => undefined,
  })
  for (let index = 0; index < 1000; index++) wakefulness.asked(1000 + index * 0.2)
  wakefulness.close()
  t.equal(asked, 1)
})

/** What all programs together have asked for, as the kernel tells it. */
function latencyMicroseconds(): number {
  const file = openSync('/dev/cpu_dma_latency', 'r')
  try {
    const bytes = Buffer.alloc(4)
    readSync(file, bytes, 0, 4, null)
    return os.endianness() === 'LE' ? bytes.readInt32LE() : bytes.readInt32BE()
  } finally {
    closeSync(file)
  }
}

const processors = openIdleProcessors()
const skip =
  processors === undefined &&
  'it takes root, and a virtual machine whose idle processors the host lets go of'

/** Daemons of other tests may ask for the same meanwhile, but not all the time. */
async function comesToSleep(): Promise<boolean> {
  for (let tries = 0; tries < 6000; tries++) {
    if (latencyMicroseconds() !== 0) return true
    await delay(10)
  }
  return false
}

t.test('the kernel is told, and told again', { skip }, async t => {
  t.ok(await comesToSleep())
  processors?.keepAwake(true)
  t.equal(latencyMicroseconds(), 0)
  processors?.keepAwake(false)
  t.ok(await comesToSleep())
  processors?.keepAwake(true)
  t.equal(latencyMicroseconds(), 0)
  processors?.close()
  t.ok(await comesToSleep(), 'the end of a daemon is the end of it, however it ends')
})
