// What FlowSchema and PriorityLevelConfiguration share (upstream: pkg/apis/flowcontrol).
import { duplicateValue, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { s } from '../schema.ts'

/** The condition of either kind: they differ in their names in OpenAPI alone. */
export function flowCondition(name: string) {
  return s.object(
    name,
    {
      type: s.string(1, 'What the condition is about; each only once.'),
      status: s.oneOf(2, ['True', 'False', 'Unknown'], 'Whether it is so.'),
      lastTransitionTime: s.time(3, 'When status changed last.'),
      reason: s.string(4, 'Why, as one word in CamelCase for programs.'),
      message: s.string(5, 'Why, as a sentence for people.'),
    },
    { description: 'A state of the object.' },
  )
}

export function validateFlowConditions(status: {
  readonly conditions?: readonly { readonly type?: string }[]
}): readonly FieldError[] {
  const seen = new Set<string>()
  return (status.conditions ?? []).flatMap(({ type = '' }, i) => {
    const at = `status.conditions[${i}].type`
    const errors = [
      ...(seen.has(type) ? [duplicateValue(at, type)] : []),
      ...(type === '' ? [requiredValue(at, 'must not be empty')] : []),
    ]
    seen.add(type)
    return errors
  })
}
