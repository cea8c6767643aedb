// Rules that the storage kinds share: access modes, what a PersistentVolume is made of, names of drivers
// (upstream: ValidatePersistentVolumeSpec in pkg/apis/core/validation, pkg/apis/storage/validation).
// https://kubernetes.io/docs/concepts/storage/persistent-volumes/
import { compareQuantity } from '../lib/quantity.ts'
import { forbidden, invalidValue, notSupported, requiredValue, tooLong } from './field.ts'
import type { FieldError } from './kind.ts'
import { dnsLabel, dnsSubdomain, type NameRule } from './names.ts'
import { validateNodeTerms } from './pod/nodeterms.ts'
import type { CSIPersistentVolumeSource, PersistentVolumeSpec } from './types/persistentvolume.ts'
import type { SecretReference } from './types/reference.ts'

/** How kubectl abbreviates the access modes, in the order in which it shows them. */
const accessModes: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
}

/** 'RWO,RWX'. */
export function accessModesText(modes: readonly string[] | undefined): string {
  const shown = Object.entries(accessModes).filter(([mode]) => modes?.includes(mode))
  return shown.map(([, short]) => short).join(',')
}

/** The annotation that named a class before storageClassName did; where it stands, it counts. */
export const classAnnotation = 'volume.beta.kubernetes.io/storage-class'

type Classed = {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> }
  readonly spec: { readonly storageClassName?: string }
}

export function storageClassOf({ metadata, spec }: Classed): string {
  return metadata.annotations?.[classAnnotation] ?? spec?.storageClassName ?? ''
}

type Attributed = { readonly volumeAttributesClassName?: string }

/** Kubernetes 1.33 drops the name of a VolumeAttributesClass, a feature that is off there, where none was before. */
export function withoutAttributesClass<T extends Attributed>(spec: T, old: Attributed | undefined): T {
  if (spec.volumeAttributesClassName === undefined || old?.volumeAttributesClassName !== undefined) return spec
  const { volumeAttributesClassName: _, ...rest } = spec
  return rest as T
}

export const volumeModes = ['Block', 'Filesystem'] as const

export function named(path: string, text: string | undefined, rule: NameRule): readonly FieldError[] {
  const wrong = text ? rule(text) : undefined
  return wrong === undefined ? [] : [invalidValue(path, text, wrong)]
}

/** `needed` is said when there is none. */
export function validateAccessModes(
  modes: readonly string[] | undefined,
  path: string,
  needed = '',
): readonly FieldError[] {
  const given = modes ?? []
  const errors = given.length === 0 ? [requiredValue(path, needed)] : []
  const known = Object.keys(accessModes)
  errors.push(...given.filter(mode => !known.includes(mode)).map(mode => notSupported(path, mode, known)))
  const others = given.filter(mode => mode !== 'ReadWriteOncePod' && known.includes(mode))
  if (given.includes('ReadWriteOncePod') && others.length > 0) {
    errors.push(forbidden(path, 'may not use ReadWriteOncePod with other access modes'))
  }
  return errors
}

/** The name of a CSI driver: a DNS subdomain, but for its case, of at most 63 characters. */
export function validateDriverName(name: string | undefined, path: string): readonly FieldError[] {
  if (!name) return [requiredValue(path)]
  const wrong = dnsSubdomain(name.toLowerCase())
  return [
    ...(name.length > 63 ? [tooLong(path, 63)] : []),
    ...(wrong === undefined ? [] : [invalidValue(path, name, wrong)]),
  ]
}

export function validatePositive(amount: string, path: string): readonly FieldError[] {
  return compareQuantity(amount, '0') > 0 ? [] : [invalidValue(path, amount, 'must be greater than zero')]
}

export function validateNotNegative(amount: string, path: string): readonly FieldError[] {
  const why = 'must be greater than or equal to 0'
  return compareQuantity(amount, '0') < 0 ? [invalidValue(path, amount, why)] : []
}

/** In the order in which upstream looks at them: of two, the later one is refused. */
const sources = [
  'hostPath',
  'gcePersistentDisk',
  'awsElasticBlockStore',
  'glusterfs',
  'flocker',
  'nfs',
  'rbd',
  'quobyte',
  'cephfs',
  'iscsi',
  'cinder',
  'fc',
  'flexVolume',
  'azureFile',
  'vsphereVolume',
  'photonPersistentDisk',
  'portworxVolume',
  'azureDisk',
  'scaleIO',
  'local',
  'storageos',
  'csi',
] as const

/** What the volume is made of: the one field of the spec that names a source. */
export function sourceOf(spec: PersistentVolumeSpec): Partial<PersistentVolumeSpec> {
  return Object.fromEntries(sources.filter(name => spec[name] !== undefined).map(name => [name, spec[name]]))
}

/** `inline`: the spec stands in a VolumeAttachment, for a volume that has no PersistentVolume. */
export function validateVolumeSpec(spec: PersistentVolumeSpec, path: string, inline = false): readonly FieldError[] {
  const given = sources.filter(name => spec[name] !== undefined)
  return [
    ...(inline ? validateInline(spec, path) : []),
    ...validateAccessModes(spec.accessModes, `${path}.accessModes`),
    ...(inline ? [] : [...validateCapacity(spec, path), ...validateOwn(spec, path)]),
    ...given.slice(1).map(name => forbidden(`${path}.${name}`, 'may not specify more than 1 volume type')),
    ...(given.length === 0 ? [requiredValue(path, 'must specify a volume type')] : []),
    ...(given[0] === undefined ? [] : validateSource(spec, given[0], `${path}.${given[0]}`)),
    ...(given[0] === 'local' && !spec.nodeAffinity?.required
      ? [requiredValue(`${path}.nodeAffinity`, 'Local volume requires node affinity')]
      : []),
  ]
}

const inlineWhy = 'may not be specified in the context of inline volumes'

function validateInline(spec: PersistentVolumeSpec, path: string): readonly FieldError[] {
  const { claimRef, capacity, nodeAffinity, storageClassName } = spec
  const errors = Object.entries({ claimRef, capacity, nodeAffinity, storageClassName })
    .filter(([, value]) => value !== undefined)
    .map(([name]) => forbidden(`${path}.${name}`, inlineWhy))
  if (!spec.csi) errors.push(requiredValue(`${path}.csi`, 'has to be specified in the context of inline volumes'))
  if ((spec.persistentVolumeReclaimPolicy ?? 'Retain') !== 'Retain') {
    const why = 'may only be Retain in the context of inline volumes'
    errors.push(forbidden(`${path}.persistentVolumeReclaimPolicy`, why))
  }
  if ((spec.volumeMode ?? 'Filesystem') !== 'Filesystem') {
    const why = 'may not specify volumeMode other than Filesystem in the context of inline volumes'
    errors.push(forbidden(`${path}.volumeMode`, why))
  }
  return errors
}

function validateCapacity({ capacity = {} }: PersistentVolumeSpec, spec: string): readonly FieldError[] {
  const path = `${spec}.capacity`
  const names = Object.keys(capacity)
  return [
    ...(names.length === 0 ? [requiredValue(path)] : []),
    ...(names.length !== 1 || names[0] !== 'storage' ? [notSupported(path, capacity, ['storage'])] : []),
    ...Object.entries(capacity).flatMap(([name, amount]) => validatePositive(amount, `${path}[${name}]`)),
  ]
}

const reclaimPolicies = ['Delete', 'Recycle', 'Retain']

/** What only a PersistentVolume may say. */
function validateOwn(spec: PersistentVolumeSpec, path: string): readonly FieldError[] {
  const { persistentVolumeReclaimPolicy: policy, volumeMode, nodeAffinity } = spec
  const errors: FieldError[] = []
  if (policy && !reclaimPolicies.includes(policy)) {
    errors.push(notSupported(`${path}.persistentVolumeReclaimPolicy`, policy, reclaimPolicies))
  }
  if (policy === 'Recycle' && spec.hostPath && /^\/+$/.test(spec.hostPath.path ?? '')) {
    const why = "may not be 'recycle' for a hostPath mount of '/'"
    errors.push(forbidden(`${path}.persistentVolumeReclaimPolicy`, why))
  }
  if (volumeMode !== undefined && !volumeModes.some(mode => mode === volumeMode)) {
    errors.push(notSupported(`${path}.volumeMode`, volumeMode, volumeModes))
  }
  if (nodeAffinity && !nodeAffinity.required) {
    errors.push(requiredValue(`${path}.nodeAffinity.required`, 'must specify required node constraints'))
  }
  if (nodeAffinity?.required) errors.push(...validateNodeTerms(nodeAffinity.required, `${path}.nodeAffinity.required`))
  return [...errors, ...named(`${path}.storageClassName`, spec.storageClassName, dnsSubdomain)]
}

/** What the schema does not say of a source: it already asks for the fields that must be there. */
function validateSource(
  spec: PersistentVolumeSpec,
  name: (typeof sources)[number],
  path: string,
): readonly FieldError[] {
  const { hostPath, local, nfs, csi, iscsi, fc, scaleIO, storageos, gcePersistentDisk, awsElasticBlockStore } = spec
  switch (name) {
    case 'hostPath':
      return hostPath === undefined ? [] : validateHostPath(hostPath, path)
    case 'local':
      return noBacksteps(local?.path, `${path}.path`)
    case 'nfs':
      if (!nfs?.path || nfs.path.startsWith('/')) return []
      return [invalidValue(`${path}.path`, nfs.path, 'must be an absolute path')]
    case 'csi':
      return csi ? validateCsi(csi, path) : []
    case 'iscsi':
      return (iscsi?.lun ?? 0) < 0 || (iscsi?.lun ?? 0) > 255
        ? [invalidValue(`${path}.lun`, iscsi?.lun, 'must be between 0 and 255, inclusive')]
        : []
    case 'fc':
      if ((fc?.targetWWNs ?? []).length === 0 && (fc?.wwids ?? []).length === 0) {
        return [requiredValue(`${path}.targetWWNs`, 'must specify either targetWWNs or wwids, but not both')]
      }
      return []
    case 'scaleIO':
      return scaleIO?.volumeName ? [] : [requiredValue(`${path}.volumeName`)]
    case 'storageos':
      if (!storageos?.volumeName) return [requiredValue(`${path}.volumeName`)]
      return named(`${path}.volumeName`, storageos.volumeName, dnsLabel)
    case 'gcePersistentDisk':
      return validatePartition(gcePersistentDisk?.partition, `${path}.partition`)
    case 'awsElasticBlockStore':
      return validatePartition(awsElasticBlockStore?.partition, `${path}.partition`)
    default:
      return []
  }
}

function noBacksteps(text: string | undefined, path: string): readonly FieldError[] {
  return text?.split('/').includes('..') ? [invalidValue(path, text, "must not contain '..'")] : []
}

const hostPathTypes = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
]

/** Of a volume of a pod, and of a PersistentVolume. */
export function validateHostPath(
  { path, type }: { readonly path?: string; readonly type?: string },
  at: string,
): readonly FieldError[] {
  const known = type === undefined || hostPathTypes.includes(type)
  return [...noBacksteps(path, `${at}.path`), ...(known ? [] : [notSupported(`${at}.type`, type, hostPathTypes)])]
}

function validatePartition(partition: number | undefined, path: string): readonly FieldError[] {
  if (partition === undefined || (partition >= 0 && partition <= 255)) return []
  return [invalidValue(path, partition, 'must be between 0 and 255, inclusive')]
}

function validateCsi(csi: CSIPersistentVolumeSource, path: string): readonly FieldError[] {
  const { controllerPublishSecretRef, controllerExpandSecretRef, nodePublishSecretRef, nodeExpandSecretRef } = csi
  const secrets = { controllerPublishSecretRef, controllerExpandSecretRef, nodePublishSecretRef, nodeExpandSecretRef }
  return [
    ...(csi.driver ? validateDriverName(csi.driver, `${path}.driver`) : []),
    ...Object.entries(secrets).flatMap(([name, secret]) => validateSecret(secret, `${path}.${name}`)),
  ]
}

function validateSecret(secret: SecretReference | undefined, path: string): readonly FieldError[] {
  if (!secret) return []
  const { name, namespace } = secret
  return [
    ...(name ? named(`${path}.name`, name, dnsSubdomain) : [requiredValue(`${path}.name`)]),
    ...(namespace ? named(`${path}.namespace`, namespace, dnsLabel) : [requiredValue(`${path}.namespace`)]),
  ]
}
