// What may stand in resources.requests and limits (upstream: ValidateContainerResourceRequirements).
// https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
import { compareQuantity, milliOf } from '../../lib/quantity.ts'
import { invalidValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { qualifiedName } from '../names.ts'
import type { ResourceRequirements } from '../types/container.ts'

const overcommitted = new Set(['cpu', 'memory', 'ephemeral-storage'])

export function validateResources(resources: ResourceRequirements | undefined, path: string): readonly FieldError[] {
  if (!resources) return []
  const { limits = {}, requests = {} } = resources
  const errors: FieldError[] = []
  for (const [list, amounts] of [
    ['limits', limits],
    ['requests', requests],
  ] as const) {
    for (const [name, amount] of Object.entries(amounts))
      errors.push(...validateAmount(name, amount, `${path}.${list}`))
  }
  for (const [name, request] of Object.entries(requests)) {
    const limit = limits[name]
    if (limit === undefined) {
      if (!isOvercommitted(name)) {
        errors.push(invalidValue(`${path}.limits`, '', 'Limit must be set for non overcommitable resources'))
      }
      continue
    }
    const order = compareQuantity(request, limit)
    if (!isOvercommitted(name) && order !== 0) {
      errors.push(invalidValue(`${path}.requests`, request, `must be equal to ${name} limit of ${limit}`))
    } else if (order > 0) {
      errors.push(invalidValue(`${path}.requests`, request, `must be less than or equal to ${name} limit of ${limit}`))
    }
  }
  return errors
}

function isOvercommitted(name: string): boolean {
  return overcommitted.has(name)
}

function validateAmount(name: string, amount: string, list: string): readonly FieldError[] {
  const path = `${list}[${name}]`
  const wrong = qualifiedName(name)
  if (wrong !== undefined) return [invalidValue(path, name, wrong)]
  const errors: FieldError[] = []
  if (!name.includes('/') && !overcommitted.has(name) && !name.startsWith('hugepages-')) {
    errors.push(invalidValue(path, name, 'must be a standard resource for containers'))
  }
  if (compareQuantity(amount, '0') < 0) {
    errors.push(invalidValue(path, amount, 'must be greater than or equal to 0'))
  }
  const whole = !overcommitted.has(name)
  if (whole && milliOf(amount) % 1_000 !== 0) errors.push(invalidValue(path, amount, 'must be an integer'))
  return errors
}
