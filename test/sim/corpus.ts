// Seeds that failed once, with what was wrong. A seed does the same again only while the draws of the simulator stay the
// same, so a change of the simulator makes it another run; the bugs themselves are kept as transcripts in golden/raft and
// as tests of the folder that was wrong.
import type { Question } from './worker.ts'

const witness = 'a witness had the newest log, nobody who may lead could win against it, and it never told what it had'

export const corpus: readonly (Question & { readonly why: string })[] = [
  { where: 'store', seed: 16, safetyMs: 30_000, why: witness },
  { where: 'store', seed: 143, safetyMs: 30_000, why: witness },
  { where: 'store', seed: 206, safetyMs: 30_000, why: witness },
  { where: 'store', seed: 208, safetyMs: 30_000, why: witness },
  {
    where: 'store',
    seed: 147,
    safetyMs: 30_000,
    why: 'a crash spoilt the zeros of the next segment beside the last write',
  },
  { where: 'store', seed: 720, safetyMs: 30_000, why: 'a snapshot of a former leader that was gone was waited for' },
  { where: 'core', seed: 245, safetyMs: 60_000, why: 'a learner had the newest log and no vote' },
]
