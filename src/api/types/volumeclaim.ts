// Claims to storage, as StatefulSets make them from templates.

import { s, scalars, type TypeOf } from '../schema.ts'
import { objectMeta } from './meta.ts'
import { persistentVolumeClaimSpec } from './volume.ts'

export const persistentVolumeClaimCondition = s.object(
  'io.k8s.api.core.v1.PersistentVolumeClaimCondition',
  {
    status: s.string(2, { required: true, description: 'True, False or Unknown.' }),
    type: s.string(1, {
      required: true,
      description:
        'Resizing, FileSystemResizePending (a node has to do the rest), ControllerResizeError, NodeResizeError, ModifyingVolume, ModifyVolumeError.',
    }),
    lastProbeTime: s.time(3, 'When it was last looked at.'),
    lastTransitionTime: s.time(4, 'When status last changed.'),
    reason: s.string(5, 'Why status changed, in one word for machines.'),
    message: s.string(6, 'The same for people, at length.'),
  },
  { description: 'Something that is going on with a claim, mostly while its volume grows.' },
)
export type PersistentVolumeClaimCondition = TypeOf<typeof persistentVolumeClaimCondition>
export const modifyVolumeStatus = s.object(
  'io.k8s.api.core.v1.ModifyVolumeStatus',
  {
    status: s.string(2, {
      required: true,
      description: 'Pending (the class is missing, say), InProgress, or Infeasible: the driver refused the parameters.',
    }),
    targetVolumeAttributesClassName: s.string(1, 'VolumeAttributesClass that is being applied.'),
  },
  { description: 'How far the change to another VolumeAttributesClass is.' },
)
export type ModifyVolumeStatus = TypeOf<typeof modifyVolumeStatus>
export const persistentVolumeClaimStatus = s.object(
  'io.k8s.api.core.v1.PersistentVolumeClaimStatus',
  {
    phase: s.string(1, 'Pending, Bound, or Lost: the volume that it was bound to is gone.'),
    accessModes: s.list(2, scalars.string, 'What the bound volume can do.'),
    capacity: s.map(3, scalars.quantity, 'What the bound volume has, under the key storage, in bytes.'),
    conditions: s.list(4, persistentVolumeClaimCondition, {
      listType: 'map',
      mapKeys: ['type'],
      mergeKey: 'type',
      description: 'What is going on with the claim, one of each type.',
    }),
    allocatedResources: s.map(
      5,
      scalars.quantity,
      'Size that is being grown to, under storage; quotas count it where it is above the request.',
    ),
    allocatedResourceStatuses: s.map(
      7,
      scalars.string,
      'How far growing is, by resource: ControllerResizeInProgress, NodeResizePending, NodeResizeInProgress, ControllerResizeInfeasible or NodeResizeInfeasible.',
    ),
    currentVolumeAttributesClassName: s.string(8, 'VolumeAttributesClass whose parameters the volume has now.'),
    modifyVolumeStatus: s.of(9, modifyVolumeStatus, 'There while another VolumeAttributesClass is being applied.'),
  },
  { description: 'What a claim got. Whoever binds claims writes it; nothing in this cluster does by itself.' },
)
export type PersistentVolumeClaimStatus = TypeOf<typeof persistentVolumeClaimStatus>

/** The kind and the template of a StatefulSet are one definition to clients, which see one text. */
export const claimText = {
  claim: 'A request for storage, in a StatefulSet one for each pod.',
  metadata: 'Name, namespace and labels. The name in a StatefulSet is that of the volume in its pods.',
  spec: 'What is asked for.',
  status: 'What the claim got; of no use in a template.',
} as const
export const persistentVolumeClaim = s.object(
  'io.k8s.api.core.v1.PersistentVolumeClaim',
  {
    apiVersion: s.string(0),
    kind: s.string(0),
    metadata: s.of(1, objectMeta, claimText.metadata),
    spec: s.of(2, persistentVolumeClaimSpec, claimText.spec),
    status: s.of(3, persistentVolumeClaimStatus, claimText.status),
  },
  { description: claimText.claim },
)
export type PersistentVolumeClaim = TypeOf<typeof persistentVolumeClaim>
