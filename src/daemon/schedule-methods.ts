// Control methods of the weekly windows.

import type { WeeklyWindow, ScheduleBook, WindowSpan } from '../cleaner/index.ts'
import type { ControlTarget, ScheduleWindow } from '../control/index.ts'

export interface ScheduleMethodsOptions {
  readonly schedules: ScheduleBook
  /** for the history */
  readonly record: (code: 'SCHEDULE_CHANGED', text: string) => void
  readonly commit: () => Promise<void>
  readonly now: () => Date
}

type ScheduleMethods = Pick<ControlTarget, Extract<keyof ControlTarget, `schedule.${string}`>>

const MINUTES_PER_HOUR = 60
const PURPOSE_WORDS = { cleaner: 'the cleaner', scan: 'scans' } as const

export function scheduleMethods(options: ScheduleMethodsOptions): ScheduleMethods {
  const { schedules, record, commit } = options
  return {
    'schedule.show': async () => {
      const nowSeconds = Math.floor(options.now().getTime() / 1000)
      return {
        zone: schedules.zone,
        windows: schedules.windows.map(showWindow),
        open: showSpan(schedules.openAt('cleaner', nowSeconds)),
        next: showSpan(schedules.nextAfter('cleaner', nowSeconds)),
        scanOpen: showSpan(schedules.openAt('scan', nowSeconds)),
        scanNext: showSpan(schedules.nextAfter('scan', nowSeconds)),
      }
    },
    'schedule.add': async ({ purpose, day, start, stop }) => {
      const window = schedules.add({
        purpose,
        day,
        startMinutes: minutes(start),
        stopMinutes: minutes(stop),
      })
      record('SCHEDULE_CHANGED', `There is a new window: ${describe(window)}.`)
      await commit()
      return showWindow(window)
    },
    'schedule.delete': async ({ id }) => {
      const window = schedules.delete(id)
      record('SCHEDULE_CHANGED', `A window is gone: ${describe(window)}.`)
      await commit()
      return {}
    },
  }
}

function showWindow(window: WeeklyWindow): ScheduleWindow {
  const { id, purpose, day, startMinutes, stopMinutes } = window
  return { id, purpose, day, start: time(startMinutes), stop: time(stopMinutes) }
}

function showSpan(span: WindowSpan | undefined) {
  if (span === undefined) return null
  const { window, startSeconds, endSeconds } = span
  return { id: window.id, opensAt: isoTime(startSeconds), closesAt: isoTime(endSeconds) }
}

function describe(window: WeeklyWindow): string {
  const { id, purpose, day, start, stop } = showWindow(window)
  return `${id}, ${day} ${start} to ${stop}, for ${PURPOSE_WORDS[purpose]}`
}

/** `hh:mm`, which the control edge has checked. */
function minutes(text: string): number {
  return Number(text.slice(0, 2)) * MINUTES_PER_HOUR + Number(text.slice(3))
}

function time(minutes: number): string {
  const parts = [Math.floor(minutes / MINUTES_PER_HOUR), minutes % MINUTES_PER_HOUR]
  return parts.map(part => String(part).padStart(2, '0')).join(':')
}

function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString()
}
