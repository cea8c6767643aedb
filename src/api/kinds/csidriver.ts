// CSIDriver (storage.k8s.io/v1): what Kubernetes has to know of a driver for volumes.
// https://kubernetes-csi.github.io/docs/csi-driver-object.html

import { ageColumn } from '../cells.ts'
import { equalJson } from '../equal.ts'
import { duplicateValue, invalidValue, notSupported } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { objectMeta } from '../types/meta.ts'
import { fixed } from '../workload.ts'

export const tokenRequest = s.object(
  'io.k8s.api.storage.v1.TokenRequest',
  {
    audience: s.string(1, {
      required: true,
      default: '',
      description: 'For whom the token is; the API server when empty. Each audience once.',
    }),
    expirationSeconds: s.int64(2, {
      pointer: true,
      description: 'Life of the token in seconds, from 600 to 2^32; 3600 when absent.',
    }),
  },
  { description: "A token of a pod's service account that a driver wants." },
)
export type TokenRequest = TypeOf<typeof tokenRequest>
export const csiDriverSpec = s.object(
  'io.k8s.api.storage.v1.CSIDriverSpec',
  {
    attachRequired: s.boolean(1, {
      pointer: true,
      default: true,
      description:
        'Whether a volume is attached to a node, by a VolumeAttachment, before it is mounted there. Immutable.',
    }),
    podInfoOnMount: s.boolean(2, {
      pointer: true,
      default: false,
      description: 'Whether the driver is told name, namespace, uid and service account of the pod that it mounts for.',
    }),
    volumeLifecycleModes: s.list(3, scalars.string, {
      listType: 'set',
      description:
        'Persistent (by claims) and Ephemeral (inline in pods), whichever the driver does; Persistent when empty. Immutable.',
    }),
    storageCapacity: s.boolean(4, {
      pointer: true,
      default: false,
      description:
        'Whether the driver publishes CSIStorageCapacity objects, for a scheduler to look at where room is left.',
    }),
    fsGroupPolicy: s.string(5, {
      pointer: true,
      default: 'ReadWriteOnceWithFSType',
      description:
        "Whether files get a pod's fsGroup: File always, None never, ReadWriteOnceWithFSType if the volume has that mode alone and an fsType.",
    }),
    tokenRequests: s.list(6, tokenRequest, "Tokens of the pod's service account that the driver gets with each mount."),
    requiresRepublish: s.boolean(7, {
      pointer: true,
      default: false,
      description: 'Whether the driver is asked to mount again and again, to renew what is in a mounted volume.',
    }),
    seLinuxMount: s.boolean(8, {
      pointer: true,
      default: false,
      description: 'Whether volumes can be mounted with an SELinux context, which spares labelling each file.',
    }),
    nodeAllocatableUpdatePeriodSeconds: s.int64(9, {
      pointer: true,
      description:
        'Seconds after which the count of volumes in CSINode is asked of the driver anew; never when absent.',
    }),
  },
  {
    description:
      'What the driver can do and wants to know. It is stored for other programs: nodes here call no CSI driver.',
  },
)
export type CSIDriverSpec = TypeOf<typeof csiDriverSpec>
export const csiDriverSchema = s.object(
  'io.k8s.api.storage.v1.CSIDriver',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'The name is that which the driver gives itself, such as ebs.csi.aws.com.',
    }),
    spec: s.of(2, csiDriverSpec, {
      required: true,
      default: {},
      description: 'What the driver can do and wants to know.',
    }),
  },
  { description: 'That a CSI driver is installed, and how it likes to be called.' },
)
export type CSIDriver = TypeOf<typeof csiDriverSchema>

const groupPolicies = ['File', 'None', 'ReadWriteOnceWithFSType']
const lifecycleModes = ['Ephemeral', 'Persistent']
const expirationSecondsMin = 600
const expirationSecondsMax = 2 ** 32

function validateTokens(requests: readonly TokenRequest[], path: string): readonly FieldError[] {
  const audiences = requests.map(({ audience }) => audience)
  return requests.flatMap(({ audience, expirationSeconds: seconds }, i) => {
    const at = `${path}[${i}]`
    if (audiences.indexOf(audience) < i) return [duplicateValue(`${at}.audience`, audience)]
    if (seconds === undefined) return []
    if (seconds < expirationSecondsMin) {
      const why = 'may not specify a duration less than 10 minutes'
      return [invalidValue(`${at}.expirationSeconds`, seconds, why)]
    }
    if (seconds <= expirationSecondsMax) return []
    return [invalidValue(`${at}.expirationSeconds`, seconds, 'may not specify a duration larger than 2^32 seconds')]
  })
}

function validateDriver(spec: CSIDriverSpec): readonly FieldError[] {
  const { fsGroupPolicy, volumeLifecycleModes = [] } = spec
  return [
    ...(groupPolicies.includes(fsGroupPolicy)
      ? []
      : [notSupported('spec.fsGroupPolicy', fsGroupPolicy, groupPolicies)]),
    ...validateTokens(spec.tokenRequests ?? [], 'spec.tokenRequests'),
    ...volumeLifecycleModes
      .filter(mode => !lifecycleModes.includes(mode))
      .map(mode => notSupported('spec.volumeLifecycleModes', mode, lifecycleModes)),
  ]
}

function validateChange(spec: CSIDriverSpec, old: CSIDriverSpec): readonly FieldError[] {
  return [
    // The path is upstream's, spelt as it is there.
    ...fixed('spec.attachedRequired', spec.attachRequired, old, old.attachRequired),
    ...fixed('spec.fsGroupPolicy', spec.fsGroupPolicy, old, old.fsGroupPolicy),
    ...fixed('spec.podInfoOnMount', spec.podInfoOnMount, old, old.podInfoOnMount),
    ...fixed('spec.volumeLifecycleModes', spec.volumeLifecycleModes, old, old.volumeLifecycleModes),
  ]
}

/** The generation of a driver counts changes of these alone, and is not there before the first. */
function counted(object: CSIDriver, old: CSIDriver): CSIDriver {
  const wanted = ({ tokenRequests, requiresRepublish, seLinuxMount }: CSIDriverSpec) => ({
    tokenRequests,
    requiresRepublish,
    seLinuxMount,
  })
  if (equalJson(wanted(object.spec), wanted(old.spec))) return object
  return { ...object, metadata: { ...object.metadata, generation: (old.metadata.generation ?? 0) + 1 } }
}

function audiencesText({ tokenRequests }: CSIDriverSpec): string {
  return tokenRequests?.map(({ audience }) => audience).join(',') ?? '<unset>'
}

export const csiDriver = defineKind({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'CSIDriver',
  plural: 'csidrivers',
  shortNames: [],
  categories: [],
  scope: 'Cluster',
  updateNeedsVersion: true,
  stored: true,
  subresources: [],
  schema: csiDriverSchema,
  generation: false,
  columns: () => [
    { name: 'AttachRequired', type: 'boolean', cell: ({ spec }) => spec.attachRequired },
    { name: 'PodInfoOnMount', type: 'boolean', cell: ({ spec }) => spec.podInfoOnMount },
    { name: 'StorageCapacity', type: 'boolean', cell: ({ spec }) => spec.storageCapacity },
    { name: 'TokenRequests', type: 'string', cell: ({ spec }) => audiencesText(spec) },
    { name: 'RequiresRepublish', type: 'boolean', cell: ({ spec }) => spec.requiresRepublish },
    { name: 'Modes', type: 'string', cell: ({ spec }) => spec.volumeLifecycleModes?.join(',') || '<none>' },
    ageColumn,
  ],
  defaults: object => {
    const given = object.spec.volumeLifecycleModes ?? []
    const volumeLifecycleModes = given.length > 0 ? given : ['Persistent']
    return { ...object, spec: { ...object.spec, volumeLifecycleModes } }
  },
  prepare: (object, old) => (old && object.spec ? counted(object, old) : object),
  validate: ({ spec }, old) => [...validateDriver(spec), ...(old ? validateChange(spec, old.spec) : [])],
})
