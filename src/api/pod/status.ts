// What may be told of a pod in its status (upstream: ValidatePodStatusUpdate in pkg/apis/core/validation), and its first
// address, which stands in two fields (Convert_v1_PodStatus_To_core_PodStatus in pkg/apis/core/v1). That an ended container
// stays ended where it is not restarted is not demanded here: a kubelet whose runtime has forgotten one says that it waits.
import { parseIp } from '../../lib/ip.ts'
import { addAll, duplicateValue, invalidValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import type { Pod } from '../kinds/pod.ts'
import { dnsSubdomain, qualifiedName } from '../names.ts'
import type { PodStatus } from '../types/podstatus.ts'

/** podIP is for those who know of one address alone: where it and podIPs differ, it counts. */
export function withAddresses(status: PodStatus): PodStatus {
  const { podIP = '', podIPs = [] } = status
  const first = podIPs[0]?.ip ?? ''
  if (podIP === first) return status
  return podIP === '' ? { ...status, podIP: first } : { ...status, podIPs: [{ ip: podIP }] }
}

export function validatePodStatus({ status, spec }: Pod, { status: old }: Pod): readonly FieldError[] {
  const errors: FieldError[] = []
  for (const [i, { type }] of (status.conditions ?? []).entries()) {
    const wrong = qualifiedName(type)
    // Where they stand is upstream's word for it.
    if (wrong !== undefined) errors.push(invalidValue(`metadata.conditions[${i}].Type`, type, wrong))
  }
  const { nominatedNodeName: nominated = '' } = status
  const wrong = nominated === '' || nominated === old.nominatedNodeName ? undefined : dnsSubdomain(nominated)
  if (wrong !== undefined) errors.push(invalidValue('status.nominatedNodeName', nominated, wrong))
  addAll(errors, validateClaims(status, spec.resourceClaims ?? []))
  addAll(errors, validateAddresses(status.podIPs ?? [], 'status.podIPs'))
  const [first] = status.hostIPs ?? []
  if (first !== undefined && first.ip !== (status.hostIP ?? '')) {
    errors.push(invalidValue('status.hostIPs[0].ip', first.ip, 'must be equal to `hostIP`'))
  }
  return [...errors, ...validateAddresses(status.hostIPs ?? [], 'status.hostIPs')]
}

function validateClaims(
  { resourceClaimStatuses = [] }: PodStatus,
  claims: readonly { readonly name: string }[],
): readonly FieldError[] {
  const known = new Set(claims.map(({ name }) => name))
  const seen = new Set<string>()
  return resourceClaimStatuses.flatMap(({ name, resourceClaimName }, i) => {
    const at = `status.resourceClaimStatuses[${i}].name`
    const wrong = resourceClaimName === undefined ? undefined : dnsSubdomain(resourceClaimName)
    const errors = [
      ...(known.has(name) ? [] : [invalidValue(at, name, 'must match the name of an entry in `spec.resourceClaims`')]),
      ...(seen.has(name) ? [duplicateValue(at, name)] : []),
      ...(wrong === undefined ? [] : [invalidValue(at, resourceClaimName, wrong)]),
    ]
    seen.add(name)
    return errors
  })
}

/** One of each family. */
function validateAddresses(addresses: readonly { readonly ip: string }[], path: string): readonly FieldError[] {
  const parsed = addresses.map(({ ip }) => parseIp(ip))
  const errors = addresses.flatMap(({ ip }, i) =>
    parsed[i]
      ? []
      : [invalidValue(`${path}[${i}]`, ip, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')],
  )
  const families = parsed.flatMap(ip => (ip ? [ip.family] : []))
  if (new Set(families).size < families.length) {
    errors.push(invalidValue(path, addresses, 'may specify no more than one IP for each IP family'))
  }
  const seen = new Set<string>()
  for (const [i, address] of addresses.entries()) {
    if (seen.has(address.ip)) errors.push(duplicateValue(`${path}[${i}]`, address))
    seen.add(address.ip)
  }
  return errors
}
