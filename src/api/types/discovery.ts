// What the API says of itself (meta/v1, apidiscovery.k8s.io/v2); api/discovery.ts makes it.
// https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
import { s, scalars, type TypeOf } from '../schema.ts'
import { listMeta, objectMeta } from './meta.ts'

const groupVersionForDiscovery = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.GroupVersionForDiscovery',
  {
    groupVersion: s.string(1, { required: true, description: 'As objects have it in apiVersion: apps/v1.' }),
    version: s.string(2, { required: true, description: 'The version without its group, as in v1.' }),
  },
  { description: 'One version of a group.' },
)
const serverAddressByClientCIDR = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.ServerAddressByClientCIDR',
  {
    clientCIDR: s.string(1, { required: true, description: 'Addresses of the clients, as in 10.0.0.0/8.' }),
    serverAddress: s.string(2, {
      required: true,
      description: 'Host of the server, perhaps with a port, for those clients.',
    }),
  },
  { description: 'Where clients out of a range of addresses reach the server.' },
)
export const apiGroup = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.APIGroup',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    name: s.string(1, { required: true, description: 'Name of the group, as in apps.' }),
    versions: s.list(2, groupVersionForDiscovery, {
      required: true,
      description: 'All versions that are served, the preferred one first.',
    }),
    preferredVersion: s.of(3, groupVersionForDiscovery, 'The version for clients that have no reason for another.'),
    serverAddressByClientCIDRs: s.list(
      4,
      serverAddressByClientCIDR,
      'Where else the server is reached; absent here, since clients stay with the address they have.',
    ),
  },
  { description: 'A group of the API and the versions in which it is served.' },
)
export type APIGroup = TypeOf<typeof apiGroup>
export const apiGroupList = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.APIGroupList',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    groups: s.list(1, apiGroup, {
      required: true,
      description: 'Every group but the core one, which lies under /api.',
    }),
  },
  { description: 'The groups that /apis offers.' },
)

const apiResource = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.APIResource',
  {
    name: s.string(1, {
      required: true,
      description: 'Plural name as in paths: pods, or with a slash for a subresource: pods/log.',
    }),
    namespaced: s.boolean(2, {
      required: true,
      description: 'Whether its objects lie in namespaces; otherwise they belong to the cluster.',
    }),
    kind: s.string(3, {
      required: true,
      description: 'Kind of its objects; of a subresource, the kind that is sent or answered.',
    }),
    // Protobuf has a message around the list.
    verbs: s.list(1, scalars.string, {
      required: true,
      within: [4],
      description: 'What can be asked of it, as in get, list, watch, create.',
    }),
    shortNames: s.list(5, scalars.string, 'Abbreviations that kubectl understands, as in po.'),
    singularName: s.string(6, {
      required: true,
      description: 'Name of a single one, as in pod; empty for subresources.',
    }),
    categories: s.list(7, scalars.string, 'Collections that it is part of: kubectl get all asks for those in all.'),
    group: s.string(8, "Group of the kind where it differs from the list's, as autoscaling for scale."),
    version: s.string(9, "Version of the kind where it differs from the list's."),
    storageVersionHash: s.string(
      10,
      'Another value means that objects are stored in another form; absent where nothing is stored.',
    ),
  },
  { description: 'A resource or subresource of a version, and what can be done with it.' },
)
export const apiResourceList = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.APIResourceList',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    groupVersion: s.string(1, { required: true, description: 'The version this list is of, as in apps/v1.' }),
    resources: s.list(2, apiResource, {
      required: true,
      description: 'Resources and their subresources, side by side.',
    }),
  },
  { description: 'What one version of a group serves.' },
)

export const apiVersions = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.APIVersions',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    versions: s.list(1, scalars.string, { required: true, description: 'Their names; v1 is the only one.' }),
    serverAddressByClientCIDRs: s.list(2, serverAddressByClientCIDR, {
      required: true,
      description: 'Where else the server is reached; empty here, since clients stay with the address they have.',
    }),
  },
  { description: 'The versions of the core group, under /api.' },
)
export type APIVersions = TypeOf<typeof apiVersions>

const groupVersionKind = s.object(
  'io.k8s.apimachinery.pkg.apis.meta.v1.GroupVersionKind',
  {
    group: s.string(1, 'Group of the kind; empty for the core group.'),
    version: s.string(2, 'Version in the group, as in v1.'),
    kind: s.string(3, 'Name of the kind, as in Pod.'),
  },
  { description: 'A kind, by group, version and name.' },
)
const apiSubresourceDiscovery = s.object(
  'io.k8s.api.apidiscovery.v2.APISubresourceDiscovery',
  {
    subresource: s.string(1, 'Last part of its path, as in status.'),
    responseKind: s.of(2, groupVersionKind, 'Kind of its answers.'),
    acceptedTypes: s.list(
      3,
      groupVersionKind,
      'Kinds that it takes as bodies beside that of its answers. Not filled in here.',
    ),
    verbs: s.list(4, scalars.string, 'What can be asked of it, as in get, patch, update.'),
  },
  { description: 'A subresource, and what can be done with it.' },
)
const apiResourceDiscovery = s.object(
  'io.k8s.api.apidiscovery.v2.APIResourceDiscovery',
  {
    resource: s.string(1, 'Plural name as in paths, as in pods.'),
    responseKind: s.of(2, groupVersionKind, 'Kind of its objects.'),
    scope: s.string(3, 'Namespaced when its objects lie in namespaces, otherwise Cluster.'),
    singularResource: s.string(4, 'Name of a single one, as in pod.'),
    verbs: s.list(5, scalars.string, 'What can be asked of it, as in get, list, watch, create.'),
    shortNames: s.list(6, scalars.string, 'Abbreviations that kubectl understands, as in po.'),
    categories: s.list(7, scalars.string, 'Collections that it is part of: kubectl get all asks for those in all.'),
    subresources: s.list(8, apiSubresourceDiscovery, 'What lies under its objects, as in status and scale.'),
  },
  { description: 'A resource with its subresources, and what can be done with it.' },
)
const apiVersionDiscovery = s.object(
  'io.k8s.api.apidiscovery.v2.APIVersionDiscovery',
  {
    version: s.string(1, 'The version without its group, as in v1.'),
    resources: s.list(2, apiResourceDiscovery, 'The resources of the version, each with its subresources.'),
    freshness: s.string(
      3,
      'Current, or Stale when the server of an aggregated group does not answer and this is what it said before.',
    ),
  },
  { description: 'A version of a group, and all that it serves.' },
)
export const apiGroupDiscovery = s.object(
  'io.k8s.api.apidiscovery.v2.APIGroupDiscovery',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    metadata: s.of(1, objectMeta, 'Has the name of the group, which is empty for the core group.'),
    versions: s.list(2, apiVersionDiscovery, 'Its versions, the preferred one first.'),
  },
  { description: 'A group with all its versions and what they serve.' },
)
export const apiGroupDiscoveryList = s.object(
  'io.k8s.api.apidiscovery.v2.APIGroupDiscoveryList',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    metadata: s.of(1, listMeta, 'Empty: the list has no version of its own.'),
    items: s.list(2, apiGroupDiscovery, 'The groups, in the order in which clients look for a resource.'),
  },
  { description: 'All that /api or /apis serves, in one answer.' },
)
export type APIGroupDiscovery = TypeOf<typeof apiGroupDiscovery>
