// PriorityLevelConfiguration (flowcontrol.apiserver.k8s.io/v1): how many requests of a priority level run at once, and what
// becomes of the others.
// https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
import { ageColumn } from '../cells.ts'
import { forbidden, invalidValue, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { s, type TypeOf } from '../schema.ts'
import { flowCondition, validateFlowConditions } from '../types/flowcontrol.ts'
import { objectMeta } from '../types/meta.ts'

export const queuingConfiguration = s.object(
  'io.k8s.api.flowcontrol.v1.QueuingConfiguration',
  {
    queues: s.int32(1, 'Times queueLengthLimit: how many requests of the level wait at most. 64 when 0 or absent.'),
    handSize: s.int32(
      2,
      'Times queueLengthLimit: how many requests of a single flow wait at most. Not above queues; 8 when 0 or absent.',
    ),
    queueLengthLimit: s.int32(3, 'What the two others are multiplied with; 50 when 0 or absent.'),
  },
  {
    description:
      'How many requests may wait. Every flow has a queue of its own here, so the three numbers are only multiplied.',
  },
)
export type QueuingConfiguration = TypeOf<typeof queuingConfiguration>
export const limitResponse = s.object(
  'io.k8s.api.flowcontrol.v1.LimitResponse',
  {
    type: s.oneOf(1, ['Queue', 'Reject'], {
      required: true,
      description:
        'Queue lets it wait, for 15 seconds at most; Reject refuses it at once. Both refuse with status 429.',
    }),
    queuing: s.of(2, queuingConfiguration, 'How many may wait. Required for Queue, forbidden for Reject.'),
  },
  { description: 'What becomes of a request that finds no free seat.' },
)
export type LimitResponse = TypeOf<typeof limitResponse>
export const limitedPriorityLevelConfiguration = s.object(
  'io.k8s.api.flowcontrol.v1.LimitedPriorityLevelConfiguration',
  {
    nominalConcurrencyShares: s.int32(1, {
      pointer: true,
      default: 30,
      description:
        'Share of the 600 seats of each API server, in proportion to the shares of all levels; 0 gives none of its own.',
    }),
    limitResponse: s.of(2, limitResponse, {
      default: {},
      description: 'What becomes of a request that finds no free seat.',
    }),
    lendablePercent: s.int32(3, {
      pointer: true,
      default: 0,
      description: 'Percent of its seats, from 0 to 100, that others may use while they are free.',
    }),
    borrowingLimitPercent: s.int32(4, {
      pointer: true,
      description: 'How many seats of others it may use, in percent of its own; all that are free when absent.',
    }),
  },
  { description: 'A level with a share of the seats, each of which serves one request at a time.' },
)
export type LimitedPriorityLevelConfiguration = TypeOf<typeof limitedPriorityLevelConfiguration>
export const exemptPriorityLevelConfiguration = s.object(
  'io.k8s.api.flowcontrol.v1.ExemptPriorityLevelConfiguration',
  {
    nominalConcurrencyShares: s.int32(1, {
      pointer: true,
      default: 0,
      description:
        'Counts beside the shares of other levels and so lessens their seats; this level itself has no limit.',
    }),
    lendablePercent: s.int32(2, {
      pointer: true,
      default: 0,
      description: 'Percent of its seats, from 0 to 100, for others to use. Stored, without effect here.',
    }),
  },
  { description: 'A level at which no request ever waits.' },
)
export type ExemptPriorityLevelConfiguration = TypeOf<typeof exemptPriorityLevelConfiguration>
export const priorityLevelConfigurationSpec = s.object(
  'io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationSpec',
  {
    type: s.oneOf(1, ['Exempt', 'Limited'], {
      required: true,
      description: 'Limited for all levels but the one called exempt, which is Exempt.',
    }),
    limited: s.of(2, limitedPriorityLevelConfiguration, 'Required for Limited, forbidden for Exempt.'),
    exempt: s.of(3, exemptPriorityLevelConfiguration, 'For Exempt only.'),
  },
  { description: 'Whether the requests of the level are limited, and how.' },
)
export type PriorityLevelConfigurationSpec = TypeOf<typeof priorityLevelConfigurationSpec>
export const priorityLevelConfigurationCondition = flowCondition(
  'io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationCondition',
)
export const priorityLevelConfigurationStatus = s.object(
  'io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationStatus',
  {
    conditions: s.list(1, priorityLevelConfigurationCondition, {
      listType: 'map',
      mapKeys: ['type'],
      mergeKey: 'type',
      description: 'States of the level. Nothing here writes any.',
    }),
  },
  { description: 'What is known of the level.' },
)
export const priorityLevelConfigurationSchema = s.object(
  'io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'FlowSchemas refer to the name. Of those called exempt and catch-all, only spec.exempt changes.',
    }),
    spec: s.of(2, priorityLevelConfigurationSpec, { default: {}, description: 'How the level is limited.' }),
    status: s.of(3, priorityLevelConfigurationStatus, { default: {}, description: 'Written by the server.' }),
  },
  {
    description:
      'How many requests of one sort an API server serves at once, and what becomes of the others. FlowSchemas sort them.',
  },
)
export type PriorityLevelConfiguration = TypeOf<typeof priorityLevelConfigurationSchema>

const queuingDefaults = { queues: 64, handSize: 8, queueLengthLimit: 50 }

function withQueuing(spec: PriorityLevelConfigurationSpec): PriorityLevelConfigurationSpec {
  const queuing = spec.limited?.limitResponse.queuing
  if (!spec.limited || !queuing) return spec
  const filled = {
    queues: queuing.queues || queuingDefaults.queues,
    handSize: queuing.handSize || queuingDefaults.handSize,
    queueLengthLimit: queuing.queueLengthLimit || queuingDefaults.queueLengthLimit,
  }
  const response = { ...spec.limited.limitResponse, queuing: filled }
  return { ...spec, limited: { ...spec.limited, limitResponse: response } }
}

function validateSpec(name: string, { type, limited, exempt }: PriorityLevelConfigurationSpec): readonly FieldError[] {
  const errors: FieldError[] = []
  if ((name === 'exempt') !== (type === 'Exempt')) {
    errors.push(invalidValue('spec.type', type, "type must be 'Exempt' if and only if name is 'exempt'"))
  }
  if (type === 'Exempt') {
    if (limited) errors.push(forbidden('spec.limited', 'must be nil if the type is not Limited'))
    errors.push(...validateExempt(exempt))
  }
  if (type === 'Limited') {
    if (exempt) errors.push(forbidden('spec.exempt', 'must be nil if the type is Limited'))
    if (limited) errors.push(...validateLimited(limited))
    else errors.push(requiredValue('spec.limited', 'must not be empty when type is Limited'))
  }
  return errors
}

const sharesSentence = 'must be a non-negative integer'
const percentSentence = 'must be between 0 and 100, inclusive'
const isPercent = (value: number): boolean => value >= 0 && value <= 100

function validateExempt(exempt: ExemptPriorityLevelConfiguration | undefined): readonly FieldError[] {
  if (!exempt) return []
  const { nominalConcurrencyShares: shares, lendablePercent: lendable } = exempt
  return [
    ...(shares < 0 ? [invalidValue('spec.exempt.nominalConcurrencyShares', shares, sharesSentence)] : []),
    ...(isPercent(lendable) ? [] : [invalidValue('spec.exempt.lendablePercent', lendable, percentSentence)]),
  ]
}

function validateLimited(limited: LimitedPriorityLevelConfiguration): readonly FieldError[] {
  const { nominalConcurrencyShares: shares, lendablePercent: lendable, borrowingLimitPercent: borrowing = 0 } = limited
  const errors: FieldError[] = []
  if (shares < 0) errors.push(invalidValue('spec.limited.nominalConcurrencyShares', shares, sharesSentence))
  errors.push(...validateResponse(limited.limitResponse))
  if (!isPercent(lendable)) errors.push(invalidValue('spec.limited.lendablePercent', lendable, percentSentence))
  if (borrowing < 0) {
    const why = 'if specified, must be a non-negative integer'
    errors.push(invalidValue('spec.limited.borrowingLimitPercent', borrowing, why))
  }
  return errors
}

function validateResponse({ type, queuing }: LimitResponse): readonly FieldError[] {
  const at = 'spec.limited.limitResponse.queuing'
  if (type === 'Reject' && queuing) {
    return [forbidden(at, 'must be nil if limited.limitResponse.type is not Limited')]
  }
  if (type === 'Queue' && !queuing) {
    return [requiredValue(at, 'must not be empty if limited.limitResponse.type is Limited')]
  }
  return type === 'Queue' && queuing ? validateQueuing(queuing, at) : []
}

const queueCountMax = 10_000_000
/** So many bits has the hash that deals a flow its hand of queues. */
const hashBitsMax = 60

function validateQueuing(queuing: QueuingConfiguration, path: string): readonly FieldError[] {
  const { queues = 0, handSize = 0, queueLengthLimit = 0 } = queuing
  const errors: FieldError[] = []
  const hand = (why: string) => errors.push(invalidValue(`${path}.handSize`, handSize, why))
  if (queueLengthLimit <= 0) errors.push(invalidValue(`${path}.queueLengthLimit`, queueLengthLimit, 'must be positive'))
  if (queues <= 0) errors.push(invalidValue(`${path}.queues`, queues, 'must be positive'))
  else if (queues > queueCountMax) {
    errors.push(invalidValue(`${path}.queues`, queues, `must not be greater than ${queueCountMax}`))
  }
  if (handSize <= 0) hand('must be positive')
  else if (handSize > queues) hand(`should not be greater than queues (${queues})`)
  else if (entropyBits(queues, handSize) > hashBitsMax) {
    const what = `required entropy bits of deckSize ${queues} and handSize ${handSize}`
    hand(`${what} should not be greater than ${hashBitsMax}`)
  }
  return errors
}

/** How many bits choose a hand out of a deck (upstream: shufflesharding.RequiredEntropyBits). */
function entropyBits(deckSize: number, handSize: number): number {
  return Math.ceil(Math.log2(deckSize) * handSize)
}

const sharesText = ({ limited, exempt }: PriorityLevelConfigurationSpec): string | number =>
  limited?.nominalConcurrencyShares ?? exempt?.nominalConcurrencyShares ?? '<none>'
const queuingOf = ({ spec }: PriorityLevelConfiguration): QueuingConfiguration | undefined =>
  spec.limited?.limitResponse.queuing

export const priorityLevelConfiguration = defineKind({
  group: 'flowcontrol.apiserver.k8s.io',
  version: 'v1',
  kind: 'PriorityLevelConfiguration',
  plural: 'prioritylevelconfigurations',
  scope: 'Cluster',
  subresources: ['status'],
  schema: priorityLevelConfigurationSchema,
  columns: () => [
    { name: 'Type', type: 'string', cell: ({ spec }) => spec.type },
    { name: 'NominalConcurrencyShares', type: 'integer', cell: ({ spec }) => sharesText(spec) },
    { name: 'Queues', type: 'integer', cell: object => queuingOf(object)?.queues ?? '<none>' },
    { name: 'HandSize', type: 'integer', cell: object => queuingOf(object)?.handSize ?? '<none>' },
    { name: 'QueueLengthLimit', type: 'integer', cell: object => queuingOf(object)?.queueLengthLimit ?? '<none>' },
    ageColumn,
  ],
  defaults: object => ({ ...object, spec: withQueuing(object.spec) }),
  validate: ({ metadata, spec, status }) => [...validateSpec(metadata.name, spec), ...validateFlowConditions(status)],
  validateStatus: ({ status }) => validateFlowConditions(status),
})
