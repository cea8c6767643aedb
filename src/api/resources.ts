// The names of resources in quotas and limit ranges (upstream: pkg/apis/core/helper, validateResourceName).
// https://kubernetes.io/docs/concepts/policy/resource-quotas/#compute-resource-quota
import { milliOf } from '../lib/quantity.ts'
import { invalidValue } from './field.ts'
import type { FieldError } from './kind.ts'
import { qualifiedName } from './names.ts'

const ofContainers = ['cpu', 'memory', 'ephemeral-storage']

/** Counts of objects: only whole ones. */
const counted = [
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'services.nodeports',
  'services.loadbalancers',
]
const ofQuotas = [
  ...ofContainers,
  ...ofContainers.map(name => `requests.${name}`),
  ...ofContainers.map(name => `limits.${name}`),
  'requests.storage',
  ...counted,
]

const isHugePages = (name: string): boolean => name.startsWith('hugepages-')

/** Unprefixed, or kubernetes.io/…: not a resource that somebody else has brought. */
function isNative(name: string): boolean {
  return !name.includes('/') || name.includes('kubernetes.io/')
}

function isExtended(name: string): boolean {
  return !isNative(name) && !name.startsWith('requests.') && qualifiedName(`requests.${name}`) === undefined
}

export function isQuotaResource(name: string): boolean {
  return ofQuotas.includes(name) || isHugePages(name) || name.startsWith('requests.hugepages-')
}

export function isIntegerResource(name: string): boolean {
  return counted.includes(name) || isExtended(name)
}

/** A container may ask for less of it than its limit. */
export function isOvercommitted(name: string): boolean {
  return isNative(name) && !isHugePages(name)
}

/** Any resource: one that Kubernetes knows, or a qualified name. */
export function validateResource(name: string, path: string): readonly FieldError[] {
  const wrong = qualifiedName(name)
  if (wrong !== undefined) return [invalidValue(path, name, wrong)]
  if (name.includes('/') || name === 'storage' || isQuotaResource(name)) return []
  return [invalidValue(path, name, 'must be a standard resource type or fully qualified')]
}

export function validateContainerResource(name: string, path: string): readonly FieldError[] {
  const errors = validateResource(name, path)
  if (!name.includes('/')) {
    if (ofContainers.includes(name) || isHugePages(name)) return errors
    return [...errors, invalidValue(path, name, 'must be a standard resource for containers')]
  }
  if (isNative(name) || isExtended(name)) return errors
  return [...errors, invalidValue(path, name, "doesn't follow extended resource name standard")]
}

export function validateQuotaResource(name: string, path: string): readonly FieldError[] {
  const errors = validateResource(name, path)
  if (name.includes('/') || isQuotaResource(name)) return errors
  return [...errors, invalidValue(path, name, 'must be a standard resource for quota')]
}

export function validateWhole(amount: string, path: string): readonly FieldError[] {
  return milliOf(amount) % 1_000 === 0 ? [] : [invalidValue(path, amount, 'must be an integer')]
}
