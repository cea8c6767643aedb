// Conditions of a status: set without touching what stays the same, so that an unchanged world writes nothing.
import { rfc3339 } from '../lib/duration.ts'

type Condition = {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason?: string
  readonly message?: string
  readonly lastTransitionTime?: string
}

export function findCondition<C extends Condition>(conditions: readonly C[] | undefined, type: string): C | undefined {
  return conditions?.find(condition => condition.type === type)
}

export function withoutCondition<C extends Condition>(
  conditions: readonly C[] | undefined,
  type: string,
): readonly C[] {
  return conditions?.filter(condition => condition.type !== type) ?? []
}

/** The transition time moves only with the status. Same status, reason and message: the very same list. */
export function setCondition<C extends Condition>(
  conditions: readonly C[] | undefined,
  wanted: C,
  nowMs: number,
): readonly C[] {
  const known = findCondition(conditions, wanted.type)
  if (known?.status === wanted.status && known.reason === wanted.reason && known.message === wanted.message) {
    return conditions ?? []
  }
  const lastTransitionTime = (known?.status === wanted.status && known.lastTransitionTime) || rfc3339(nowMs)
  const next = { ...wanted, lastTransitionTime }
  return known === undefined
    ? [...(conditions ?? []), next]
    : (conditions ?? []).map(condition => (condition.type === wanted.type ? next : condition))
}
