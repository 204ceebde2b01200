// What io-worker.js is told to do, and what it answers.

import type { Generation } from './io/generations.ts'
import type { Overwriting } from './io/image.ts'
import type { Content } from './io/pieces.ts'

export type Task =
  | { readonly kind: 'write'; readonly content: Content; readonly path: string }
  | { readonly kind: 'read'; readonly path: string }
  | { readonly kind: 'compare'; readonly content: Content; readonly path: string }
  | {
      readonly kind: 'small'
      /** of their paths */
      readonly prefix: string
      readonly count: number
      readonly bytes: number
    }
  /** files in turn random, like the tar with changes, equal to the tar */
  | {
      readonly kind: 'mixed'
      readonly tar: string
      readonly directory: string
      readonly bytes: number
    }
  | ({ readonly kind: 'overwrite' } & Overwriting)
  | {
      readonly kind: 'compare-image'
      readonly content: Content
      readonly path: string
      readonly journal: string
    }
  | {
      readonly kind: 'create-tree' | 'stat-tree' | 'read-tree' | 'delete-tree'
      readonly directory: string
      readonly count: number
      readonly source: string
    }
  | {
      readonly kind: 'write-generation' | 'compare-generation'
      readonly generation: Generation
      readonly path: string
    }

export interface TaskOptions {
  /** time of day at which to begin: several workers begin together */
  readonly startAtMs?: number
}

export interface TaskResult {
  readonly bytes: number
  /** files, or writes into one */
  readonly count: number
  readonly seconds: number
  /** of the time of day: the same clock in all workers */
  readonly startedMs: number
  readonly endedMs: number
}
