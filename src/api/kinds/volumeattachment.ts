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

export const volumeAttachmentSource = s.object('io.k8s.api.storage.v1.VolumeAttachmentSource', {
  persistentVolumeName: s.string(1, { pointer: true }),
  inlineVolumeSpec: s.of(2, persistentVolumeSpec),
})
export type VolumeAttachmentSource = TypeOf<typeof volumeAttachmentSource>
export const volumeAttachmentSpec = s.object('io.k8s.api.storage.v1.VolumeAttachmentSpec', {
  attacher: s.string(1, { required: true }),
  source: s.of(2, volumeAttachmentSource, { required: true, default: {} }),
  nodeName: s.string(3, { required: true }),
})
export type VolumeAttachmentSpec = TypeOf<typeof volumeAttachmentSpec>
export const volumeError = s.object('io.k8s.api.storage.v1.VolumeError', {
  time: s.time(1),
  message: s.string(2),
  errorCode: s.int32(3, { pointer: true }),
})
export type VolumeError = TypeOf<typeof volumeError>
export const volumeAttachmentStatus = s.object('io.k8s.api.storage.v1.VolumeAttachmentStatus', {
  attached: s.boolean(1, { required: true }),
  attachmentMetadata: s.map(2, scalars.string),
  attachError: s.of(3, volumeError),
  detachError: s.of(4, volumeError),
})
export type VolumeAttachmentStatus = TypeOf<typeof volumeAttachmentStatus>
export const volumeAttachmentSchema = s.object('io.k8s.api.storage.v1.VolumeAttachment', {
  apiVersion: s.string(0, { stored: true }),
  kind: s.string(0, { stored: true }),
  metadata: s.of(1, objectMeta, { stored: true }),
  spec: s.of(2, volumeAttachmentSpec, { required: true, default: {} }),
  status: s.of(3, volumeAttachmentStatus, { default: {} }),
})
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
