// Control methods of the cleaner's weekly windows.

import type { CleanerWindow, ScheduleBook, WindowSpan } from '../cleaner/index.ts'
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

export function scheduleMethods(options: ScheduleMethodsOptions): ScheduleMethods {
  const { schedules, record, commit } = options
  return {
    'schedule.show': async () => {
      const nowSeconds = Math.floor(options.now().getTime() / 1000)
      return {
        zone: schedules.zone,
        windows: schedules.windows.map(showWindow),
        open: showSpan(schedules.openAt(nowSeconds)),
        next: showSpan(schedules.nextAfter(nowSeconds)),
      }
    },
    'schedule.add': async ({ day, start, stop }) => {
      const window = schedules.add({
        day,
        startMinutes: minutes(start),
        stopMinutes: minutes(stop),
      })
      record('SCHEDULE_CHANGED', `The cleaner has a new window: ${describe(window)}.`)
      await commit()
      return showWindow(window)
    },
    'schedule.delete': async ({ id }) => {
      const window = schedules.delete(id)
      record('SCHEDULE_CHANGED', `The cleaner has lost a window: ${describe(window)}.`)
      await commit()
      return {}
    },
  }
}

function showWindow({ id, day, startMinutes, stopMinutes }: CleanerWindow): ScheduleWindow {
  return { id, day, start: time(startMinutes), stop: time(stopMinutes) }
}

function showSpan(span: WindowSpan | undefined) {
  if (span === undefined) return null
  const { window, startSeconds, endSeconds } = span
  return { id: window.id, opensAt: isoTime(startSeconds), closesAt: isoTime(endSeconds) }
}

function describe(window: CleanerWindow): string {
  const { id, day, start, stop } = showWindow(window)
  return `${id}, ${day} ${start} to ${stop}`
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
