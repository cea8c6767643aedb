// What is wrong with a Node (upstream: ValidateNode and ValidateNodeUpdate in pkg/apis/core/validation). A change of its
// status is held to the same rules as one of its spec, but for the blocks of addresses, which it cannot change.
import { parsePrefix } from '../lib/ip.ts'
import { compareQuantity } from '../lib/quantity.ts'
import { equalJson } from './equal.ts'
import { addAll, duplicateValue, forbidden, invalidValue, requiredValue } from './field.ts'
import type { FieldError } from './kind.ts'
import type { Node } from './kinds/node.ts'
import { labelValue, qualifiedName } from './names.ts'
import { isObject } from './parse.ts'
import { isIntegerResource, validateWhole } from './resources.ts'
import type { Taint } from './types/affinity.ts'

export function validateNode(object: Node, old: Node | undefined): readonly FieldError[] {
  return [...validateAlways(object), ...validateBlocks(object.spec?.podCIDRs ?? []), ...validateChange(object, old)]
}

export function validateNodeStatus(object: Node, old: Node): readonly FieldError[] {
  return [...validateAlways(object), ...validateChange(object, old)]
}

function validateAlways({ metadata, spec, status }: Node): readonly FieldError[] {
  return [
    ...validateNodeAnnotations(metadata.annotations ?? {}),
    // Where they stand is upstream's word for it.
    ...validateTaints(spec?.taints ?? [], 'metadata.taints'),
    ...validateAmounts(status?.capacity ?? {}, 'status.capacity'),
    ...validateAmounts(status?.allocatable ?? {}, 'status.allocatable'),
  ]
}

function validateChange({ spec, status }: Node, old: Node | undefined): readonly FieldError[] {
  if (old === undefined) return []
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const [i, address] of (status?.addresses ?? []).entries()) {
    const pair = JSON.stringify([address.type, address.address])
    if (seen.has(pair)) errors.push(duplicateValue(`status.addresses[${i}]`, address))
    seen.add(pair)
  }
  for (const [field, shown] of [
    ['podCIDRs', 'podCIDR'],
    ['providerID', 'providerID'],
  ] as const) {
    const before = old.spec?.[field]
    if (before === undefined || before.length === 0 || equalJson(before, spec?.[field])) continue
    errors.push(forbidden(`spec.${field}`, `node updates may not change ${shown} except from "" to valid`))
  }
  if ((spec?.externalID ?? '') !== (old.spec?.externalID ?? '')) {
    errors.push(forbidden('spec.externalID', 'may not be updated'))
  }
  return errors
}

function validateAmounts(amounts: Readonly<Record<string, string>>, path: string): readonly FieldError[] {
  return Object.entries(amounts).flatMap(([name, amount]) => {
    const at = `${path}.${name}`
    const isNegative = compareQuantity(amount, '0') < 0
    return [
      ...(isNegative ? [invalidValue(at, amount, 'must be greater than or equal to 0')] : []),
      ...(isIntegerResource(name) ? validateWhole(amount, at) : []),
    ]
  })
}

function validateTaints(taints: readonly Taint[], path: string): readonly FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const [i, taint] of taints.entries()) {
    const at = `${path}[${i}]`
    const { key = '', value = '', effect = '' } = taint
    const wrong = { key: key === '' ? undefined : qualifiedName(key), value: labelValue(value) }
    if (wrong.key !== undefined) errors.push(invalidValue(`${at}.key`, key, wrong.key))
    if (wrong.value !== undefined) errors.push(invalidValue(`${at}.value`, value, wrong.value))
    const pair = `${key}:${effect}`
    if (seen.has(pair)) errors.push(duplicateValue(at, taint, 'taints must be unique by key and effect pair'))
    seen.add(pair)
  }
  return errors
}

function validateBlocks(blocks: readonly string[]): readonly FieldError[] {
  const path = 'spec.podCIDRs'
  const errors: FieldError[] = []
  const families: number[] = []
  for (const [i, block] of blocks.entries()) {
    const prefix = parsePrefix(block)
    if (prefix !== undefined) families.push(prefix.ip.family)
    else {
      const why = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'
      errors.push(invalidValue(`${path}[${i}]`, block, why))
    }
  }
  if (new Set(families).size < families.length) {
    errors.push(invalidValue(path, blocks, 'may specify no more than one CIDR for each IP family'))
  }
  const seen = new Set<string>()
  for (const [i, block] of blocks.entries()) {
    if (seen.has(block)) errors.push(duplicateValue(`${path}[${i}]`, block))
    seen.add(block)
  }
  return errors
}

const taintsAnnotation = 'scheduler.alpha.kubernetes.io/taints'
const avoidAnnotation = 'scheduler.alpha.kubernetes.io/preferAvoidPods'

/** Two that held lists before there were fields for them. */
function validateNodeAnnotations(annotations: Readonly<Record<string, string>>): readonly FieldError[] {
  const path = 'metadata.annotations'
  const errors: FieldError[] = []
  const taints = annotations[taintsAnnotation] ?? ''
  if (taints !== '') {
    const list = parsed(taints)
    if (!Array.isArray(list)) errors.push(invalidValue(path, taintsAnnotation, 'must be a list of taints, as JSON'))
    else addAll(errors, validateTaints(list.filter(isObject) as Taint[], `${path}.${taintsAnnotation}`))
  }
  const avoid = annotations[avoidAnnotation] ?? ''
  if (avoid !== '') {
    const value = parsed(avoid)
    const why = 'must be an object of which preferAvoidPods is a list, as JSON'
    const list = isObject(value) ? (value['preferAvoidPods'] ?? []) : undefined
    if (!Array.isArray(list)) errors.push(invalidValue(`${path}.AvoidPods`, avoidAnnotation, why))
    else
      addAll(
        errors,
        list.flatMap((one, i) => validateAvoided(one, `${path}.${avoidAnnotation}[${i}]`)),
      )
  }
  return errors
}

type Avoided = { readonly podSignature?: { readonly podController?: { readonly controller?: boolean } | null } }

function validateAvoided(entry: Avoided | null, path: string): readonly FieldError[] {
  const controller = entry?.podSignature?.podController
  if (controller === undefined || controller === null) return [requiredValue(`${path}.PodSignature`)]
  if (controller.controller === true) return []
  const at = `${path}.PodSignature.PodController.Controller`
  return [invalidValue(at, controller.controller ?? false, 'must point to a controller')]
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // No JSON is no list either: the caller says what it should have been.
    return undefined
  }
}
