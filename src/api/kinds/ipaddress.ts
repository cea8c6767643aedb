// IPAddress (networking.k8s.io/v1): an address of a Service that is taken, and by what. Its name is the address.
// https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { dnsSubdomain, pathSegment } from '../names.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { ruled, strictIp } from '../types/network.ts'
import { fixed } from '../workload.ts'

export const parentReference = s.object(
  'io.k8s.api.networking.v1.ParentReference',
  {
    group: s.string(1, 'Group of the resource; empty for the core group.'),
    resource: s.string(2, { required: true, description: 'Resource as in paths, as in services.' }),
    namespace: s.string(3, 'Namespace of the object, if its kind has any.'),
    name: s.string(4, { required: true, description: 'What the object is called.' }),
  },
  { description: 'The object that has an address.' },
)
export type ParentReference = TypeOf<typeof parentReference>
export const ipAddressSpec = s.object(
  'io.k8s.api.networking.v1.IPAddressSpec',
  {
    parentRef: s.of(1, parentReference, { required: true, description: 'The owner, as a rule a Service; immutable.' }),
  },
  { description: 'Whose address it is.' },
)
export type IpAddressSpec = TypeOf<typeof ipAddressSpec>
export const ipAddressSchema = s.object(
  'io.k8s.api.networking.v1.IPAddress',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, { stored: true, description: 'Its name is the address in canonical form.' }),
    spec: s.of(2, ipAddressSpec, { default: {}, description: 'Whose address it is.' }),
  },
  {
    description:
      'An address that a Service has. Written here after the Service; one made by hand keeps no address free.',
  },
)
export type IpAddress = TypeOf<typeof ipAddressSchema>

function validateParent({ group, resource, namespace, name }: ParentReference): readonly FieldError[] {
  return [
    ...ruled('spec.parentRef.group', group, dnsSubdomain),
    ...ruled('spec.parentRef.resource', resource, pathSegment),
    ...ruled('spec.parentRef.name', name, pathSegment),
    ...ruled('spec.parentRef.namespace', namespace, pathSegment),
  ]
}

/** 'services/default/web', with the group behind the resource where it has one. */
function parentText(parent: ParentReference | undefined): string {
  if (!parent) return '<none>'
  const { group, resource, namespace, name } = parent
  const kind = `${resource}${group ? `.${group}` : ''}`.toLowerCase()
  return [kind, ...(namespace ? [namespace] : []), name].join('/')
}

export const ipAddress = defineKind({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'IPAddress',
  plural: 'ipaddresses',
  shortNames: ['ip'],
  scope: 'Cluster',
  caution:
    'Services do not take their addresses from IPAddresses in this version: one that is made here keeps none free',
  schema: ipAddressSchema,
  nameRule: strictIp,
  generation: false,
  columns: () => [{ name: 'ParentRef', type: 'string', cell: ({ spec }) => parentText(spec.parentRef) }],
  validate: ({ spec }, old) => [
    ...(spec.parentRef ? validateParent(spec.parentRef) : []),
    ...fixed('spec.parentRef', spec.parentRef, old, old?.spec.parentRef),
  ],
})
