// What of itself a pod may be told, in variables and in files (upstream: validateObjectFieldSelector and
// validateContainerResourceFieldSelector in pkg/apis/core/validation).
// https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
import { addAll, invalidValue, notSupported, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { qualifiedName } from '../names.ts'
import type { ObjectFieldSelector, ResourceFieldSelector } from '../types/volume.ts'

const inFiles = ['metadata.annotations', 'metadata.labels', 'metadata.name', 'metadata.namespace', 'metadata.uid']
const inVariables = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
]
/** Fields of a pod that have a name here, though no variable and no file may hold them. */
const others = ['spec.restartPolicy', 'spec.schedulerName', 'status.phase']
const known = new Set([...inFiles, ...inVariables, ...others])

const resources = ['cpu', 'ephemeral-storage', 'memory'].flatMap(name => [`limits.${name}`, `requests.${name}`])
const bytesDivisors = ['1', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei']

/** `where`: files may hold all labels, variables only one. */
export function validateFieldRef(
  { fieldPath = '' }: Partial<ObjectFieldSelector>,
  path: string,
  where: 'file' | 'variable',
): readonly FieldError[] {
  // Its absence is the schema's to tell.
  if (fieldPath === '') return []
  const at = `${path}.fieldPath`
  const converting = (why: string) => [invalidValue(at, fieldPath, `error converting fieldPath: ${why}`)]
  const [, field, key] = /^(.*)\['(.*)'\]$/.exec(fieldPath) ?? []
  if (field !== undefined && key !== undefined) {
    if (field !== 'metadata.labels' && field !== 'metadata.annotations') {
      return converting(`field label does not support subscript: ${fieldPath}`)
    }
    const text = field === 'metadata.annotations' ? key.toLowerCase() : key
    const wrong = qualifiedName(text)
    return wrong === undefined ? [] : [invalidValue(path, text, wrong)]
  }
  if (!known.has(fieldPath)) return converting(`field label not supported: ${fieldPath}`)
  const allowed = where === 'file' ? inFiles : inVariables
  return allowed.includes(fieldPath) ? [] : [notSupported(at, fieldPath, allowed)]
}

export function validateResourceRef(
  { containerName = '', resource = '', divisor = '0' }: Partial<ResourceFieldSelector>,
  path: string,
  where: 'file' | 'variable',
): readonly FieldError[] {
  const errors: FieldError[] = []
  const isPages = /^(limits|requests)\.hugepages-/.test(resource)
  if (where === 'file' && containerName === '') errors.push(requiredValue(`${path}.containerName`))
  else if (resource !== '' && !resources.includes(resource) && !isPages) {
    errors.push(notSupported(`${path}.resource`, resource, resources))
  }
  if (divisor !== '0') addAll(errors, validateDivisor(resource, divisor, `${path}.divisor`))
  return errors
}

function validateDivisor(resource: string, divisor: string, path: string): readonly FieldError[] {
  const [, name = ''] = resource.split('.')
  if (name === 'cpu') {
    if (divisor === '1m' || divisor === '1') return []
    return [invalidValue(path, resource, "only divisor's values 1m and 1 are supported with the cpu resource")]
  }
  const what =
    name === 'ephemeral-storage' ? 'local ephemeral storage' : name.startsWith('hugepages-') ? 'hugepages' : name
  if (!['memory', 'local ephemeral storage', 'hugepages'].includes(what) || bytesDivisors.includes(divisor)) return []
  const values = bytesDivisors.join(', ')
  return [invalidValue(path, resource, `only divisor's values ${values} are supported with the ${what} resource`)]
}
