// What may be deleted. Nothing in coffer deletes a block file, a copy of the metadata or a keystore because of one
// listing: one flipped bit can make a listing end early. A deletion takes a proof, and a proof takes two statements
// from independent sources which agree.

import { CofferError } from './errors.ts'

/** Where a statement comes from. Two statements of one proof never share their source. */
export type EvidenceSource =
  /** a walk over all extent records that was compared with inodes and counters */
  | 'extent listing'
  /** the counters of references that each commit keeps up to date */
  | 'reference counters'
  /** the record of the subject itself */
  | 'own record'
  /** the header of the file that is about to be deleted */
  | 'file header'
  /** a newer copy that was read back whole */
  | 'newer copy'
  /** the number that the last commit carries */
  | 'commit number'

export interface Statement {
  readonly source: EvidenceSource
  /** nothing needs the subject any more, as far as this source knows */
  readonly isDead: boolean
  /** what the source says, for the alert and the log */
  readonly detail: string
}

/** Two sources disagree, so nothing was deleted. */
export class EvidenceError extends CofferError {
  constructor(message: string) {
    super('EVIDENCE_DISAGREES', `Nothing was deleted: ${message}`)
  }
}

/** A subject with the two statements that it is dead. Only `prove` makes one. */
export class DeletionProof<Subject> {
  readonly subject: Subject
  readonly statements: readonly [Statement, Statement]

  private constructor(subject: Subject, statements: readonly [Statement, Statement]) {
    this.subject = subject
    this.statements = statements
  }

  /**
   * Proves that a subject may be deleted.
   * @param name the subject in words, for the error
   * @throws EvidenceError when a source says that the subject is needed; RangeError when both statements have one source
   */
  static prove<Subject>(
    name: string,
    subject: Subject,
    first: Statement,
    second: Statement,
  ): DeletionProof<Subject> {
    if (first.source === second.source) throw new RangeError('one source proves nothing')
    for (const { source, isDead, detail } of [first, second]) {
      if (!isDead) throw new EvidenceError(`${name} is in use, says the ${source}: ${detail}.`)
    }
    return new DeletionProof(subject, [first, second])
  }
}
