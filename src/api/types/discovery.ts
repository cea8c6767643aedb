// What the API says of itself (meta/v1, apidiscovery.k8s.io/v2); api/discovery.ts makes it.
// https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
import { s, scalars, type TypeOf } from '../schema.ts'
import { listMeta, objectMeta } from './meta.ts'

const groupVersionForDiscovery = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.GroupVersionForDiscovery', {
  groupVersion: s.string(1, { required: true }),
  version: s.string(2, { required: true }),
})
const serverAddressByClientCIDR = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.ServerAddressByClientCIDR', {
  clientCIDR: s.string(1, { required: true }),
  serverAddress: s.string(2, { required: true }),
})
export const apiGroup = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.APIGroup', {
  apiVersion: s.string(0),
  kind: s.string(0),
  name: s.string(1, { required: true }),
  versions: s.list(2, groupVersionForDiscovery, { required: true }),
  preferredVersion: s.of(3, groupVersionForDiscovery),
  serverAddressByClientCIDRs: s.list(4, serverAddressByClientCIDR),
})
export type APIGroup = TypeOf<typeof apiGroup>
export const apiGroupList = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.APIGroupList', {
  apiVersion: s.string(0),
  kind: s.string(0),
  groups: s.list(1, apiGroup, { required: true }),
})

const apiResource = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.APIResource', {
  name: s.string(1, { required: true }),
  namespaced: s.boolean(2, { required: true }),
  kind: s.string(3, { required: true }),
  // Protobuf has a message around the list.
  verbs: s.list(1, scalars.string, { required: true, within: [4] }),
  shortNames: s.list(5, scalars.string),
  singularName: s.string(6, { required: true }),
  categories: s.list(7, scalars.string),
  group: s.string(8),
  version: s.string(9),
  storageVersionHash: s.string(10),
})
export const apiResourceList = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.APIResourceList', {
  apiVersion: s.string(0),
  kind: s.string(0),
  groupVersion: s.string(1, { required: true }),
  resources: s.list(2, apiResource, { required: true }),
})

export const apiVersions = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.APIVersions', {
  apiVersion: s.string(0),
  kind: s.string(0),
  versions: s.list(1, scalars.string, { required: true }),
  serverAddressByClientCIDRs: s.list(2, serverAddressByClientCIDR, { required: true }),
})
export type APIVersions = TypeOf<typeof apiVersions>

const groupVersionKind = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.GroupVersionKind', {
  group: s.string(1),
  version: s.string(2),
  kind: s.string(3),
})
const apiSubresourceDiscovery = s.object('io.k8s.api.apidiscovery.v2.APISubresourceDiscovery', {
  subresource: s.string(1),
  responseKind: s.of(2, groupVersionKind),
  acceptedTypes: s.list(3, groupVersionKind),
  verbs: s.list(4, scalars.string),
})
const apiResourceDiscovery = s.object('io.k8s.api.apidiscovery.v2.APIResourceDiscovery', {
  resource: s.string(1),
  responseKind: s.of(2, groupVersionKind),
  scope: s.string(3),
  singularResource: s.string(4),
  verbs: s.list(5, scalars.string),
  shortNames: s.list(6, scalars.string),
  categories: s.list(7, scalars.string),
  subresources: s.list(8, apiSubresourceDiscovery),
})
const apiVersionDiscovery = s.object('io.k8s.api.apidiscovery.v2.APIVersionDiscovery', {
  version: s.string(1),
  resources: s.list(2, apiResourceDiscovery),
  freshness: s.string(3),
})
export const apiGroupDiscovery = s.object('io.k8s.api.apidiscovery.v2.APIGroupDiscovery', {
  apiVersion: s.string(0),
  kind: s.string(0),
  metadata: s.of(1, objectMeta),
  versions: s.list(2, apiVersionDiscovery),
})
export const apiGroupDiscoveryList = s.object('io.k8s.api.apidiscovery.v2.APIGroupDiscoveryList', {
  apiVersion: s.string(0),
  kind: s.string(0),
  metadata: s.of(1, listMeta),
  items: s.list(2, apiGroupDiscovery),
})
export type APIGroupDiscovery = TypeOf<typeof apiGroupDiscovery>
