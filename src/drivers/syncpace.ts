// Whether to wait for a sync of the disk or to be called back, told from how long the last ones took. To wait saves the
// two trips to another thread and back, 30 to 60 µs, and stops everything else of this process meanwhile: so it is only
// for a disk that has been quick for a while, and one slow sync ends it at once.

/** A sync up to here is quick: waiting for it costs about what the way through the thread pool does. */
const quickMs = 0.3
/** One that takes longer than this, while all else stood still, is one too many. */
const stallMs = 2
/** How much of the recent past counts: about so many syncs. */
const memoryCount = 64
/** Of the recent ones, so many may be slower than quick: to begin waiting, and to go on with it. */
const slowShareToBegin = 0.05
const slowShareToGoOn = 0.1
const restCountMin = 64
const restCountMax = 4_096

export type SyncPace = {
  /** Wait for the next one. */
  readonly isQuick: boolean
  /** What a sync took, waited for or not; called back, it took a little less than this. */
  took(ms: number): void
}

export function createSyncPace(): SyncPace {
  let isQuick = false
  let slowShare = 1
  /** After each stall it takes twice as many called-back syncs until one is waited for again. */
  let restCount = restCountMin
  let restLeft = restCountMin
  return {
    get isQuick() {
      return isQuick
    },
    took(ms) {
      slowShare += ((ms > quickMs ? 1 : 0) - slowShare) / memoryCount
      if (isQuick) {
        if (ms <= stallMs && slowShare <= slowShareToGoOn) {
          // A long good time makes up for old stalls.
          if (restCount > restCountMin) restCount -= 1 / memoryCount
          return
        }
        isQuick = false
        restLeft = restCount
        restCount = Math.min(restCountMax, restCount * 2)
        return
      }
      restLeft -= 1
      isQuick = restLeft <= 0 && slowShare <= slowShareToBegin
    },
  }
}
