// Seeds that failed once, with what was wrong. A seed does the same again only while the draws of the simulator stay the
// same, so a change of the simulator makes it another run; the bugs themselves are kept as transcripts and tests of the
// folder that was wrong.
import type { Question } from './worker.ts'

export const corpus: readonly (Question & { readonly why: string })[] = [
  { where: 'core', seed: 245, safetyMs: 60_000, why: 'a learner held the newest log, and nobody else could win' },
]
