// How long this thread held its event loop up at most, in CPU time of its own: unlike the delay of the loop, it does not grow
// because others want the processors of this machine.

export const clockTickMs = 10

export type Busy = {
  /** The most CPU time between two looks, which are `clockTickMs` apart unless the loop is held up. */
  maxMs(): number
  reset(): void
}

export function watchBusy(): Busy {
  let before = process.threadCpuUsage()
  let most = 0
  setInterval(() => {
    const { user, system } = process.threadCpuUsage(before)
    before = process.threadCpuUsage()
    most = Math.max(most, (user + system) / 1_000)
  }, clockTickMs).unref()
  return {
    maxMs: () => most,
    reset: () => {
      before = process.threadCpuUsage()
      most = 0
    },
  }
}
