// Judges expressions about a request. CEL does not wait, and the authorizer does: what an evaluation wants to know of it is
// found out afterwards, and the evaluation done again, until nothing is missing.
import type { AdmissionInput } from '../../api/cel/admission.ts'
import type { AccessAnswer, AccessQuestion, Authorize } from '../../api/cel/library/authorizer.ts'
import type { Kind } from '../../api/kind.ts'
import { type Namespace, namespace as namespaceKind } from '../../api/kinds/namespace.ts'
import type { MatchCondition } from '../../api/types/admission.ts'
import type { Store } from '../../kv/store.ts'
import type { Authorizer } from '../run-authorize.ts'
import { keyOf, objectOf } from '../stored.ts'
import type { Change } from './admission.ts'
import { accessOf, inputOf, judge, resourceIn } from './expressions.ts'

export type Judging = { readonly store: Store; readonly authorizer: Authorizer }

const roundsMax = 64

/** `evaluate` is run with answers of the authorizer, as often as it has new questions for it. */
export async function withAuthorizer<T>(
  authorizer: Authorizer,
  change: Change,
  evaluate: (authorizer: NonNullable<AdmissionInput['authorizer']>) => T,
): Promise<T> {
  const known = new Map<string, AccessAnswer>()
  for (let round = 0; round < roundsMax; round++) {
    const missing = new Map<string, AccessQuestion>()
    const authorize: Authorize = question => {
      const key = JSON.stringify(question)
      const answer = known.get(key)
      if (answer === undefined) missing.set(key, question)
      return answer ?? { allowed: false, reason: '' }
    }
    const result = evaluate({ authorize, requestResource: resourceIn(change) })
    if (missing.size === 0) return result
    for (const [key, question] of missing) {
      const { allowed, why } = await authorizer.decide(...accessOf(question, change.identity))
      known.set(key, { allowed, reason: why })
    }
  }
  throw new Error('the expressions ask the authorizer for ever more')
}

/** The namespace's own object, for what lies in one. */
export async function namespaceFor(store: Store, { kind, namespace = '' }: Change): Promise<Namespace | undefined> {
  if (namespace === '' || kind.scope === 'Cluster') return undefined
  const stored = await store.get(keyOf(namespaceKind, undefined, namespace))
  return stored && objectOf<Namespace>(stored)
}

/** As judge. `shown`: the change in the form of `form`. */
export async function conditionsHold(
  { store, authorizer }: Judging,
  conditions: readonly MatchCondition[],
  shown: Change,
  form: Kind,
  asked: Kind,
): Promise<boolean> {
  if (conditions.length === 0) return true
  const input = inputOf(shown, form, asked, await namespaceFor(store, shown))
  return await withAuthorizer(authorizer, shown, rights => judge(conditions, { ...input, authorizer: rights }))
}
