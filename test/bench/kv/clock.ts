// One clock for all processes of the bench: CLOCK_MONOTONIC, which the machine has once, in ms.

const nowOf = () => {
  const [seconds, nanos] = process.hrtime()
  return seconds * 1_000 + nanos / 1e6
}

/** `performance.now()` is cheaper to read and begins with the process; the smallest of some differences is the truest. */
const offset = Math.min(...Array.from({ length: 100 }, () => nowOf() - performance.now()))

export const monotonicMs = (): number => performance.now() + offset

export const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, Math.max(0, ms)))

/** Sleeps until `monotonicMs()` says `at`. */
export const sleepUntil = (at: number): Promise<void> => sleep(at - monotonicMs())
