// VolumeAttachment (storage.k8s.io/v1): that a volume shall be attached to a node; its driver says in the status how far it is.
// https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/volume-attachment-v1/

import { ageColumn, nameColumn } from '../cells.ts'
import { forbidden, requiredValue, tooLong } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { defineKind } from '../kind.ts'
import { dnsSubdomain } from '../names.ts'
import { s, scalars, type TypeOf } from '../schema.ts'
import { named, validateDriverName, validateVolumeSpec } from '../storage.ts'
import { objectMeta } from '../types/meta.ts'
import { persistentVolumeSpec } from '../types/persistentvolume.ts'
import { fixed } from '../workload.ts'

export const volumeAttachmentSource = s.object(
  'io.k8s.api.storage.v1.VolumeAttachmentSource',
  {
    persistentVolumeName: s.string(1, { pointer: true, description: 'PersistentVolume to attach.' }),
    inlineVolumeSpec: s.of(
      2,
      persistentVolumeSpec,
      "The volume itself, for pods whose old inline sources moved to CSI: accessModes and csi, no claim's fields.",
    ),
  },
  { description: 'The volume to attach: exactly one of the fields.' },
)
export type VolumeAttachmentSource = TypeOf<typeof volumeAttachmentSource>
export const volumeAttachmentSpec = s.object(
  'io.k8s.api.storage.v1.VolumeAttachmentSpec',
  {
    attacher: s.string(1, { required: true, description: 'CSI driver that is to do it, by its name.' }),
    source: s.of(2, volumeAttachmentSource, { required: true, default: {}, description: 'What is to be attached.' }),
    nodeName: s.string(3, { required: true, description: 'Node that is to get it.' }),
  },
  { description: 'Which volume shall be attached where. Immutable: to detach, delete the object.' },
)
export type VolumeAttachmentSpec = TypeOf<typeof volumeAttachmentSpec>
export const volumeError = s.object(
  'io.k8s.api.storage.v1.VolumeError',
  {
    time: s.time(1, 'When it happened.'),
    message: s.string(2, 'What the driver said, in at most 1024 characters; no secrets, for many can read it.'),
    errorCode: s.int32(3, {
      pointer: true,
      description: 'Code of gRPC that the driver answered with, such as 8 (RESOURCE_EXHAUSTED).',
    }),
  },
  { description: 'An error of a driver.' },
)
export type VolumeError = TypeOf<typeof volumeError>
export const volumeAttachmentStatus = s.object(
  'io.k8s.api.storage.v1.VolumeAttachmentStatus',
  {
    attached: s.boolean(1, { required: true, description: 'Whether the volume is attached to the node.' }),
    attachmentMetadata: s.map(
      2,
      scalars.string,
      'What the driver returned and wants back when the volume is mounted; at most 256 KiB together.',
    ),
    attachError: s.of(3, volumeError, 'Why it could not be attached the last time; absent after a success.'),
    detachError: s.of(4, volumeError, 'Why it could not be detached the last time.'),
  },
  { description: 'How far it is; the attacher of the driver writes it.' },
)
export type VolumeAttachmentStatus = TypeOf<typeof volumeAttachmentStatus>
export const volumeAttachmentSchema = s.object(
  'io.k8s.api.storage.v1.VolumeAttachment',
  {
    apiVersion: s.string(0, { stored: true }),
    kind: s.string(0, { stored: true }),
    metadata: s.of(1, objectMeta, {
      stored: true,
      description: 'Name, labels and what else every object has; no namespace.',
    }),
    spec: s.of(2, volumeAttachmentSpec, {
      required: true,
      default: {},
      description: 'Which volume shall be attached where.',
    }),
    status: s.of(3, volumeAttachmentStatus, { default: {}, description: 'How far it is.' }),
  },
  {
    description:
      'That a volume shall be attached to a node. Made and followed by other programs: nothing here attaches volumes.',
  },
)
export type VolumeAttachment = TypeOf<typeof volumeAttachmentSchema>

const oneSource = 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'

const metadataSizeMax = 256 * 1024
const messageLengthMax = 1_024

function validateStatus(status: VolumeAttachmentStatus): readonly FieldError[] {
  const entries = Object.entries(status.attachmentMetadata ?? {})
  const size = entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0)
  const long = (['attachError', 'detachError'] as const).filter(
    name => (status[name]?.message ?? '').length > messageLengthMax,
  )
  return [
    ...(size > metadataSizeMax ? [tooLong('status.attachmentMetadata', metadataSizeMax)] : []),
    // The bound that is told is upstream's, which tells that of the metadata.
    ...long.map(name => tooLong(`status.${name}.message`, metadataSizeMax)),
  ]
}

function validateSource({ persistentVolumeName, inlineVolumeSpec }: VolumeAttachmentSource): readonly FieldError[] {
  const path = 'spec.source'
  if (inlineVolumeSpec) {
    if (persistentVolumeName !== undefined) return [forbidden(path, oneSource)]
    return validateVolumeSpec(inlineVolumeSpec, `${path}.inlineVolumeSpec`, true)
  }
  if (persistentVolumeName === undefined) return [requiredValue(path, oneSource)]
  const at = `${path}.persistentVolumeName`
  return persistentVolumeName === ''
    ? [requiredValue(at, 'must specify non empty persistentVolumeName')]
    : named(at, persistentVolumeName, dnsSubdomain)
}

export const volumeAttachment = defineKind({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'VolumeAttachment',
  plural: 'volumeattachments',
  shortNames: [],
  categories: [],
  scope: 'Cluster',
  updateNeedsVersion: true,
  stored: true,
  subresources: ['status'],
  schema: volumeAttachmentSchema,
  generation: false,
  columns: () => [
    nameColumn,
    { name: 'Attacher', type: 'string', format: 'name', cell: ({ spec }) => spec.attacher },
    { name: 'PV', type: 'string', cell: ({ spec }) => spec.source?.persistentVolumeName ?? '' },
    { name: 'Node', type: 'string', cell: ({ spec }) => spec.nodeName },
    { name: 'Attached', type: 'boolean', cell: ({ status }) => status?.attached ?? false },
    ageColumn,
  ],
  validate: ({ spec }, old) => [
    ...(spec.attacher ? validateDriverName(spec.attacher, 'spec.attacher') : []),
    ...validateSource(spec.source),
    ...named('spec.nodeName', spec.nodeName, dnsSubdomain),
    ...fixed('spec', spec, old, old?.spec),
  ],
  validateStatus: ({ status }) => validateStatus(status),
})
