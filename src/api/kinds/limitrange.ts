// LimitRange (v1): bounds and defaults for what pods, containers and claims of a namespace ask for.
// https://kubernetes.io/docs/concepts/policy/limit-range/

import { compareQuantity, milliOf } from '../../lib/quantity.ts'
import { sortedBy } from '../../lib/sorted.ts'
import { createdAtColumn } from '../cells.ts'
import { duplicateValue, forbidden, invalidValue, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { qualifiedName } from '../names.ts'
import { isOvercommitted, validateContainerResource, validateResource } from '../resources.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'

export const limitRangeItem = s.object(
  'io.k8s.api.core.v1.LimitRangeItem',
  {
    type: s.string(1, {
      required: true,
      description: 'Container, Pod (all its containers together) or PersistentVolumeClaim; one item for each.',
    }),
    max: s.map(
      2,
      scalars.quantity,
      "Most that a limit may be, and a claim's request. Giving none is refused too, unless default fills it in.",
    ),
    min: s.map(
      3,
      scalars.quantity,
      'Least that a request may be. Giving none is refused too, unless defaultRequest fills it in.',
    ),
    default: s.map(
      4,
      scalars.quantity,
      'Limits for containers that give none; those of max where it says nothing. Refused for Pod.',
    ),
    defaultRequest: s.map(
      5,
      scalars.quantity,
      'Requests for containers that give none; those of default, or else of min, where it says nothing. Refused for Pod.',
    ),
    maxLimitRequestRatio: s.map(
      6,
      scalars.quantity,
      'Most that a limit may be as a multiple of its request; 1 or more. Both have to be given then.',
    ),
  },
  { description: 'Bounds for one sort of thing. All maps are by resource, as in cpu or memory.' },
)
export type LimitRangeItem = TypeOf<typeof limitRangeItem>
export const limitRangeSpec = s.object(
  'io.k8s.api.core.v1.LimitRangeSpec',
  {
    limits: s.list(1, limitRangeItem, {
      required: true,
      default: [],
      description:
        'Bounds by type. They are applied when pods are made or resized and claims written; what runs is left alone.',
    }),
  },
  { description: 'What pods and claims of the namespace are held to.' },
)
export type LimitRangeSpec = TypeOf<typeof limitRangeSpec>
export const limitRangeSchema = s.object(
  'io.k8s.api.core.v1.LimitRange',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'Name, namespace, labels and the like.' }),
    spec: s.of(2, limitRangeSpec, { default: {}, description: 'The bounds.' }),
  },
  {
    description:
      'Bounds what single containers, pods and claims of its namespace may ask for, and fills in what they leave out.',
  },
)
export type LimitRange = TypeOf<typeof limitRangeSchema>

type Amounts = Readonly<Record<string, string>>

/** Of containers: the limit is the maximum where none is given, the request the limit, or else the minimum. */
function itemDefaults(item: LimitRangeItem): LimitRangeItem {
  if (item.type !== 'Container') return item
  const limits: Amounts = { ...item.max, ...item.default }
  const requests: Amounts = { ...item.min, ...limits, ...item.defaultRequest }
  return {
    ...item,
    ...(Object.keys(limits).length > 0 && { default: limits }),
    ...(Object.keys(requests).length > 0 && { defaultRequest: requests }),
  }
}

const types = ['Container', 'PersistentVolumeClaim', 'Pod']

function validateType(type: string, path: string): readonly FieldError[] {
  const wrong = qualifiedName(type)
  if (wrong !== undefined) return [invalidValue(path, type, wrong)]
  if (type.includes('/') || types.includes(type)) return []
  return [invalidValue(path, type, 'must be a standard limit type or fully qualified')]
}

function validateItem(item: LimitRangeItem, path: string): readonly FieldError[] {
  const ofPod = item.type === 'Pod'
  const rule = ofPod || item.type === 'Container' ? validateContainerResource : validateResource
  const lists = ofPod
    ? (['max', 'min', 'maxLimitRequestRatio'] as const)
    : (['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const)
  const errors = lists.flatMap(list =>
    Object.keys(item[list] ?? {}).flatMap(name => rule(name, `${path}.${list}[${name}]`)),
  )
  if (ofPod) {
    for (const list of ['default', 'defaultRequest'] as const) {
      if (Object.keys(item[list] ?? {}).length === 0) continue
      errors.push(forbidden(`${path}.${list}`, "may not be specified when `type` is 'Pod'"))
    }
  }
  if (item.type === 'PersistentVolumeClaim' && !item.min?.['storage'] && !item.max?.['storage']) {
    const why = 'either minimum or maximum storage value is required, but neither was provided'
    errors.push(requiredValue(`${path}.limits`, why))
  }
  const names = sortedBy([...new Set(lists.flatMap(list => Object.keys(item[list] ?? {})))], name => name)
  return [...errors, ...names.flatMap(name => validateOrder(item, name, path, ofPod))]
}

/** min, defaultRequest, default and max of one resource stand in this order. */
function validateOrder(item: LimitRangeItem, name: string, path: string, ofPod: boolean): readonly FieldError[] {
  const [min, max, ratio] = [item.min?.[name], item.max?.[name], item.maxLimitRequestRatio?.[name]]
  const [limit, request] = ofPod ? [] : [item.default?.[name], item.defaultRequest?.[name]]
  const above = (low: string | undefined, high: string | undefined) =>
    low !== undefined && high !== undefined && compareQuantity(low, high) > 0
  const errors: FieldError[] = []
  const wrong = (list: string, value: string | undefined, why: string) =>
    errors.push(invalidValue(`${path}.${list}[${name}]`, value, why))
  if (above(min, max)) wrong('min', min, `min value ${min} is greater than max value ${max}`)
  if (above(min, request)) {
    wrong('defaultRequest', request, `min value ${min} is greater than default request value ${request}`)
  }
  if (above(request, max)) {
    wrong('defaultRequest', request, `default request value ${request} is greater than max value ${max}`)
  }
  if (above(request, limit)) {
    wrong('defaultRequest', request, `default request value ${request} is greater than default limit value ${limit}`)
  }
  if (above(min, limit)) wrong('default', min, `min value ${min} is greater than default value ${limit}`)
  if (above(limit, max)) wrong('default', max, `default value ${limit} is greater than max value ${max}`)
  if (above('1', ratio)) wrong('maxLimitRequestRatio', ratio, `ratio ${ratio} is less than 1`)
  if (ratio !== undefined && min !== undefined && max !== undefined) {
    const ratioMax = milliOf(max) / milliOf(min)
    if (milliOf(ratio) / 1_000 > ratioMax) {
      wrong('maxLimitRequestRatio', ratio, `ratio ${ratio} is greater than max/min = ${ratioMax.toFixed(6)}`)
    }
  }
  const differ = limit !== undefined && request !== undefined && compareQuantity(limit, request) !== 0
  if (differ && !isOvercommitted(name)) {
    wrong('defaultRequest', request, `default value ${limit} must equal to defaultRequest value ${request} in ${name}`)
  }
  return errors
}

function validateLimits(limits: readonly LimitRangeItem[]): readonly FieldError[] {
  return limits.flatMap((item, i) => {
    const path = `spec.limits[${i}]`
    const isSecond = limits.slice(0, i).some(({ type }) => type === item.type)
    return [
      ...(item.type ? validateType(item.type, `${path}.type`) : []),
      ...(isSecond ? [duplicateValue(`${path}.type`, item.type)] : []),
      ...validateItem(item, path),
    ]
  })
}

export const limitRange = defineKind({
  group: '',
  version: 'v1',
  kind: 'LimitRange',
  plural: 'limitranges',
  shortNames: ['limits'],
  categories: [],
  scope: 'Namespaced',
  updateCreates: true,
  stored: true,
  subresources: [],
  schema: limitRangeSchema,
  generation: false,
  ageColumn: false,
  columns: () => [createdAtColumn],
  defaults: object => ({ ...object, spec: { ...object.spec, limits: object.spec.limits.map(itemDefaults) } }),
  validate: ({ spec }) => validateLimits(spec.limits),
})
