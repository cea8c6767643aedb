// Time as a parameter. The real one is drivers/clock.ts, the simulated one test/sim/clock.ts.

export interface Clock {
  /** Wall clock, milliseconds since the epoch. May jump either way. For stamps that people read. */
  nowMs(): number
  /** Never goes back; its zero means nothing. For durations and deadlines. */
  monotonicMs(): number
  /** Resolves after `ms`, or at once (without an error) when the signal aborts: check the signal after it. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
  /**
   * Calls `act` once, after everything that is ready to be taken in by now has been: what one turn of the event loop
   * brought is one batch. In the order of the calls.
   */
  soon(act: () => void): void
  /** A signal that aborts after `ms` or with `signal`, whichever is first. Dispose it when the work is done. */
  deadline(ms: number, signal: AbortSignal): Deadline
}

export interface Deadline extends Disposable {
  readonly signal: AbortSignal
}
