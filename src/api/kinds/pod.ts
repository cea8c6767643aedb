// Pod (v1): containers that run together on one node, with one address and shared volumes.
// https://kubernetes.io/docs/concepts/workloads/pods/

import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { podColumns } from '../pod/columns.ts'
import { podDefaults } from '../pod/defaults.ts'
import { withLabelKeys } from '../pod/labelkeys.ts'
import { prepareResize, validateResize } from '../pod/resize.ts'
import { validatePodStatus } from '../pod/status.ts'
import { validateEphemeralChange, validatePod, validatePodChange } from '../pod/validate.ts'
import { s, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { podSpec } from '../types/podspec.ts'
import { podStatus } from '../types/podstatus.ts'

export const podSchema = s.object(
  'io.k8s.api.core.v1.Pod',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Name, namespace, labels; labels are what Services and controllers find the pod by.',
    }),
    spec: s.of(2, podSpec, { default: {}, description: 'Containers, volumes, and where and as whom they run.' }),
    status: s.of(3, podStatus, {
      default: {},
      description: 'Phase, addresses and containers as they are now.',
    }),
  },
  {
    description:
      'One or more containers on one node, with one address, shared volumes and one fate. Mostly controllers make them, from a template.',
  },
)
export type Pod = TypeOf<typeof podSchema>

/** What each door of a pod may change: the plain one most of nothing, each subresource its own part. */
function preparePod(pod: Pod, old: Pod | undefined, subresource: string | undefined): Pod {
  if (!old) return withLabelKeys(pod)
  switch (subresource) {
    case 'ephemeralcontainers': {
      const { ephemeralContainers: _, ...rest } = old.spec
      const { ephemeralContainers } = pod.spec
      return { ...pod, spec: { ...rest, ...(ephemeralContainers && { ephemeralContainers }) } }
    }
    case 'status':
    case 'binding':
      return pod
    case 'resize':
      return prepareResize(pod, old)
    default: {
      // Who does not know of them does not mean to end them.
      const ephemeralContainers = pod.spec.ephemeralContainers ?? old.spec.ephemeralContainers
      return { ...pod, spec: { ...pod.spec, ...(ephemeralContainers && { ephemeralContainers }) } }
    }
  }
}

function validateAll(pod: Pod, old: Pod | undefined, subresource: string | undefined): readonly FieldError[] {
  const errors = validatePod(pod, old)
  if (!old) return errors
  if (subresource === 'ephemeralcontainers') return [...errors, ...validateEphemeralChange(pod.spec, old.spec)]
  if (subresource === 'resize') return [...errors, ...validateResize(pod, old)]
  return subresource === undefined ? [...errors, ...validatePodChange(pod.spec, old.spec)] : errors
}

export const pod = defineKind({
  group: '',
  version: 'v1',
  kind: 'Pod',
  plural: 'pods',
  shortNames: ['po'],
  categories: ['all'],
  scope: 'Namespaced',
  stored: true,
  subresources: ['status'],
  schema: podSchema,
  columns: podColumns,
  fieldLabels: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.podIPs',
    'status.nominatedNodeName',
  ],
  fields: ({ spec, status }) => ({
    'spec.nodeName': spec.nodeName ?? '',
    'spec.restartPolicy': spec.restartPolicy,
    'spec.schedulerName': spec.schedulerName,
    'spec.serviceAccountName': spec.serviceAccountName ?? '',
    'spec.hostNetwork': String(spec.hostNetwork ?? false),
    'status.phase': status.phase ?? '',
    'status.podIP': status.podIPs?.[0]?.ip ?? status.podIP ?? '',
    'status.podIPs': (status.podIPs ?? []).map(({ ip }) => ip).join(','),
    'status.nominatedNodeName': status.nominatedNodeName ?? '',
  }),
  prepare: preparePod,
  defaults: podDefaults,
  validate: validateAll,
  validateStatus: validatePodStatus,
})
