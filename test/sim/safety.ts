// What the simulator calls a failure: something that must never be, with the name of the rule that it breaks.

/** The rules, by the names that reports use. */
export type Invariant =
  | 'one leader per term'
  | 'one vote per term'
  | 'terms never go back'
  | 'log matching'
  | 'leader completeness'
  | 'committed entries never change'
  | 'applied in order'
  | 'equal states at equal indexes'
  | 'committed is durable on a majority'
  | 'answers are durable'
  | 'membership follows the log'
  | 'leader stickiness'
  | 'one configuration at a time'
  | 'majorities overlap'
  | 'no member ID twice'
  | 'no acknowledged write is lost'
  | 'newest reads'
  | 'linearizability'
  | 'revisions'
  | 'retried writes happen once'
  | 'watches'
  | 'leases'
  | 'bounded queues'
  | 'witnesses never lead'
  | 'damage is told'
  | 'nothing ends by itself'
  | 'progress after healing'
  | 'stable leader'
  | 'convergence'
  | 'hand-over'

export class SafetyError extends Error {
  override readonly name = 'SafetyError'
  readonly invariant: Invariant
  constructor(invariant: Invariant, what: string, options?: ErrorOptions) {
    super(`${invariant}: ${what}`, options)
    this.invariant = invariant
  }
}

/** `what` is made only when it is needed. */
export function must(holds: boolean, invariant: Invariant, what: () => string): asserts holds {
  if (!holds) throw new SafetyError(invariant, what())
}

/** How a run failed: the rule, or the kind of error where the program's own assertions or an exception ended it. */
export type Failure = { readonly by: string; readonly what: string }

export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { by: 'exception', what: String(error) }
  if (error instanceof SafetyError) return { by: error.invariant, what: `${error.message}${causeOf(error)}` }
  const by = error.name === 'AssertionError' ? 'assertion in src' : 'exception'
  return { by, what: `${error.stack ?? error.message}${causeOf(error)}` }
}

function causeOf(error: Error): string {
  return error.cause === undefined ? '' : `\ncaused by ${failureOf(error.cause).what}`
}
