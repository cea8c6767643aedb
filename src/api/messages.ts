// What has a form in JSON and in protobuf and is no kind: options of requests, what the API says of itself, frames of a
// watch, and three types of v1 that no path serves. With api/kinds.ts this is all that can stand behind protobuf's magic.
import { type Schema, s } from './schema.ts'
import { admissionReview } from './types/admissionreview.ts'
import { conversionReview } from './types/conversionreview.ts'
import {
  apiGroup,
  apiGroupDiscovery,
  apiGroupDiscoveryList,
  apiGroupList,
  apiResourceList,
  apiVersions,
} from './types/discovery.ts'
import { deleteOptions, objectMeta } from './types/meta.ts'
import { createOptions, getOptions, listOptions, patchOptions, updateOptions } from './types/options.ts'
import {
  nodeProxyOptions,
  podAttachOptions,
  podExecOptions,
  podLogOptions,
  podPortForwardOptions,
  podProxyOptions,
  serviceProxyOptions,
} from './types/podoptions.ts'
import { podStatus } from './types/podstatus.ts'
import { objectReference } from './types/reference.ts'
import { status } from './types/status.ts'

/** A frame of a watch. It alone says neither apiVersion nor kind. */
export const watchEvent = s.object('io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent', {
  type: s.string(1, { required: true }),
  object: s.any(2, { required: true }),
})

/** How Kubernetes keeps which service addresses and node ports are taken. */
const rangeAllocation = s.object('io.k8s.api.core.v1.RangeAllocation', {
  apiVersion: s.string(0),
  kind: s.string(0),
  metadata: s.of(1, objectMeta),
  range: s.string(2, { required: true }),
  data: s.bytes(3, { required: true }),
})

/** What a kubelet once told of a pod. */
const podStatusResult = s.object('io.k8s.api.core.v1.PodStatusResult', {
  apiVersion: s.string(0),
  kind: s.string(0),
  metadata: s.of(1, objectMeta),
  status: s.of(2, podStatus),
})

const serializedReference = s.object('io.k8s.api.core.v1.SerializedReference', {
  apiVersion: s.string(0),
  kind: s.string(0),
  reference: s.of(1, objectReference),
})

export type Message = { readonly apiVersion: string; readonly kind: string; readonly schema: Schema }

const ofCore: Readonly<Record<string, Schema>> = {
  APIGroup: apiGroup,
  APIGroupList: apiGroupList,
  APIResourceList: apiResourceList,
  APIVersions: apiVersions,
  CreateOptions: createOptions,
  DeleteOptions: deleteOptions,
  GetOptions: getOptions,
  ListOptions: listOptions,
  NodeProxyOptions: nodeProxyOptions,
  PatchOptions: patchOptions,
  PodAttachOptions: podAttachOptions,
  PodExecOptions: podExecOptions,
  PodLogOptions: podLogOptions,
  PodPortForwardOptions: podPortForwardOptions,
  PodProxyOptions: podProxyOptions,
  PodStatusResult: podStatusResult,
  RangeAllocation: rangeAllocation,
  SerializedReference: serializedReference,
  ServiceProxyOptions: serviceProxyOptions,
  Status: status,
  UpdateOptions: updateOptions,
}

export const messages: readonly Message[] = [
  ...Object.entries(ofCore).map(([kind, schema]) => ({ apiVersion: 'v1', kind, schema })),
  { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', schema: admissionReview },
  { apiVersion: 'apidiscovery.k8s.io/v2', kind: 'APIGroupDiscovery', schema: apiGroupDiscovery },
  { apiVersion: 'apidiscovery.k8s.io/v2', kind: 'APIGroupDiscoveryList', schema: apiGroupDiscoveryList },
  { apiVersion: 'apiextensions.k8s.io/v1', kind: 'ConversionReview', schema: conversionReview },
]
