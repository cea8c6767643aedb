// ServiceCIDR (networking.k8s.io/v1): a range from which Services get their addresses.
// https://kubernetes.io/docs/tasks/network/extend-service-ip-ranges/
import { parsePrefix } from '../../lib/ip.ts'
import { immutable, invalidValue, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { condition, objectMeta } from '../types/meta.ts'
import { ruled, strictCidr } from '../types/network.ts'

export const serviceCIDRSpec = s.object(
  'io.k8s.api.networking.v1.ServiceCIDRSpec',
  {
    cidrs: s.list(
      1,
      scalars.string,
      'A range, or one of each family, as in 10.96.0.0/16. They stay; the other family may be added.',
    ),
  },
  { description: 'Ranges for the addresses of Services.' },
)
export type ServiceCidrSpec = TypeOf<typeof serviceCIDRSpec>
export const serviceCIDRStatus = s.object(
  'io.k8s.api.networking.v1.ServiceCIDRStatus',
  {
    conditions: s.list(1, condition, {
      listType: 'map',
      mapKeys: ['type'],
      mergeKey: 'type',
      description: 'Ready, when addresses come from here; here only of the range kubernetes.',
    }),
  },
  { description: 'Whether the ranges are in use.' },
)
export type ServiceCidrStatus = TypeOf<typeof serviceCIDRStatus>
export const serviceCIDRSchema = s.object(
  'io.k8s.api.networking.v1.ServiceCIDR',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'The cluster makes the one named kubernetes itself.' }),
    spec: s.of(2, serviceCIDRSpec, { default: {}, description: 'Which ranges they are.' }),
    status: s.of(3, serviceCIDRStatus, { default: {}, description: 'Whether they are in use.' }),
  },
  {
    description:
      'Ranges of addresses for Services. Only the one named kubernetes is in use here: it shows the range of the cluster.',
  },
)
export type ServiceCidr = TypeOf<typeof serviceCIDRSchema>

const path = 'spec.cidrs'

/** One range, or one of each family. */
function validateRanges({ cidrs = [] }: ServiceCidrSpec): readonly FieldError[] {
  if (cidrs.length === 0) return [requiredValue(path, 'at least one CIDR required')]
  if (cidrs.length > 2) return [invalidValue(path, { cidrs }, 'may only hold up to 2 values')]
  const errors = cidrs.flatMap((cidr, i) =>
    cidr === ''
      ? [invalidValue(`${path}[${i}]`, cidr, strictCidr(cidr) ?? '')]
      : ruled(`${path}[${i}]`, cidr, strictCidr),
  )
  const [first, second] = cidrs.map(cidr => parsePrefix(cidr)?.ip.family)
  if (first !== undefined && first === second) {
    const why = 'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64'
    errors.push(invalidValue(path, cidrs, why))
  }
  return errors
}

/** A range stays what it is; a second one, of the other family, may come beside it. */
function validateChange(spec: ServiceCidrSpec, old: ServiceCidrSpec): readonly FieldError[] {
  const [after, before] = [spec.cidrs ?? [], old.cidrs ?? []]
  const isGrown = before.length === 1 && after.length === 2
  if (after.length !== before.length && !isGrown) return [immutable(path, after)]
  const changed = before.flatMap((cidr, i) => (after[i] === cidr ? [] : [immutable(`${path}[${i}]`, after[i])]))
  return isGrown ? [...changed, ...validateRanges(spec)] : changed
}

export const serviceCidr = defineKind({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'ServiceCIDR',
  plural: 'servicecidrs',
  scope: 'Cluster',
  caution:
    'Services take their addresses from the range that the cluster was made with: this one is stored, and not used',
  subresources: ['status'],
  schema: serviceCIDRSchema,
  generation: false,
  columns: () => [{ name: 'CIDRs', type: 'string', cell: ({ spec }) => (spec.cidrs ?? []).join(',') }],
  validate: ({ spec }, old) => (old ? validateChange(spec, old.spec) : validateRanges(spec)),
})
