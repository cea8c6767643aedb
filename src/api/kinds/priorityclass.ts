// PriorityClass (scheduling.k8s.io/v1): a name for a priority, by which pods are scheduled first and displace others.
import { ageColumn } from '../cells.ts'
import { forbidden } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { systemPriorities } from '../pod/defaults.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { fixed } from '../workload.ts'

export const priorityClassSchema = s.object(
  'io.k8s.api.scheduling.v1.PriorityClass',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Name and labels. Pods name the class in priorityClassName; names with system- are reserved.',
    }),
    value: s.int32(2, {
      required: true,
      description: 'Pods with a higher number come first; at most 1000000000. Immutable.',
    }),
    globalDefault: s.boolean(
      3,
      'True: pods that name no class are of this one; a second such class is refused. Where there is none, their number is 0.',
    ),
    description: s.string(4, 'For people: which pods the class is meant for.'),
    preemptionPolicy: s.oneOf(5, ['PreemptLowerPriority', 'Never'], {
      pointer: true,
      description:
        'PreemptLowerPriority (the default): its pods may displace those of lower numbers. Never: they wait for room. Immutable.',
    }),
  },
  {
    description:
      'Names a priority: pods with a higher one are scheduled first, and may displace pods with a lower one.',
  },
)
export type PriorityClass = TypeOf<typeof priorityClassSchema>

const userPriorityMax = 1_000_000_000

function validateClass({ metadata, value }: PriorityClass): readonly FieldError[] {
  const { name = '' } = metadata
  if (name.startsWith('system-')) {
    if (systemPriorities[name] === value) return []
    const why = "priority class names with 'system-' prefix are reserved for system use only"
    return [forbidden('metadata.name', why)]
  }
  if (value <= userPriorityMax) return []
  return [forbidden('value', `maximum allowed value of a user defined priority is ${userPriorityMax}`)]
}

export const priorityClass = defineKind({
  group: 'scheduling.k8s.io',
  version: 'v1',
  kind: 'PriorityClass',
  plural: 'priorityclasses',
  shortNames: ['pc'],
  categories: [],
  scope: 'Cluster',
  stored: true,
  subresources: [],
  schema: priorityClassSchema,
  columns: () => [
    { name: 'Value', type: 'integer', cell: ({ value }) => value },
    { name: 'Global-Default', type: 'boolean', cell: ({ globalDefault }) => globalDefault ?? false },
    ageColumn,
    { name: 'PreemptionPolicy', type: 'string', cell: ({ preemptionPolicy }) => preemptionPolicy ?? '' },
  ],
  defaults: object => ({ ...object, preemptionPolicy: object.preemptionPolicy ?? 'PreemptLowerPriority' }),
  validate: (object, old) => [
    ...validateClass(object),
    ...(old && old.value !== object.value ? [forbidden('value', 'may not be changed in an update.')] : []),
    ...fixed('preemptionPolicy', object.preemptionPolicy, old, old?.preemptionPolicy),
  ],
})
