// What PersistentVolumeClaims and the claims of ephemeral volumes in pods share (upstream: ValidatePersistentVolumeClaimSpec).
// https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#generic-ephemeral-volumes
import { equalJson } from './equal.ts'
import { invalidValue, notSupported, requiredValue } from './field.ts'
import type { FieldError } from './kind.ts'
import { dnsLabel, dnsSubdomain } from './names.ts'
import { validateSelector } from './pod/selector.ts'
import { named, validateAccessModes, validatePositive, volumeModes } from './storage.ts'
import type { PersistentVolumeClaimSpec } from './types/volume.ts'

export function claimDefaults(spec: PersistentVolumeClaimSpec): PersistentVolumeClaimSpec {
  return { ...spec, volumeMode: spec.volumeMode ?? 'Filesystem', resources: spec.resources ?? {} }
}

type DataSource = NonNullable<PersistentVolumeClaimSpec['dataSourceRef']>

function validateDataSource(source: DataSource | undefined, path: string): readonly FieldError[] {
  if (!source) return []
  const { kind, apiGroup, namespace } = source
  const why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
  return [
    ...(!apiGroup && kind !== 'PersistentVolumeClaim' ? [invalidValue(path, kind ?? '', why)] : []),
    ...named(`${path}.apiGroup`, apiGroup, dnsSubdomain),
    ...named(`${path}.namespace`, namespace, dnsLabel),
  ]
}

function validateSources({ dataSource, dataSourceRef }: PersistentVolumeClaimSpec, path: string) {
  const errors = [
    ...validateDataSource(dataSource, `${path}.dataSource`),
    ...validateDataSource(dataSourceRef, `${path}.dataSourceRef`),
  ]
  if (!dataSource || !dataSourceRef) return errors
  const { namespace, ...local } = dataSourceRef
  if ((namespace ?? '') !== '') {
    const why = 'may not be specified when dataSourceRef.namespace is specified'
    return [...errors, invalidValue(path, `${path}.dataSource`, why)]
  }
  return equalJson(dataSource, local)
    ? errors
    : [...errors, invalidValue(path, `${path}.dataSource`, 'must match dataSourceRef')]
}

export function validateClaimSpec(spec: PersistentVolumeClaimSpec, path: string): readonly FieldError[] {
  const storage = spec.resources?.requests?.['storage']
  const { volumeMode } = spec
  return [
    ...validateAccessModes(spec.accessModes, `${path}.accessModes`, 'at least 1 access mode is required'),
    ...validateSelector(spec.selector, `${path}.selector`),
    ...(storage === undefined
      ? [requiredValue(`${path}.resources[storage]`)]
      : validatePositive(storage, `${path}.resources[storage]`)),
    ...named(`${path}.storageClassName`, spec.storageClassName, dnsSubdomain),
    ...(volumeMode !== undefined && !volumeModes.some(mode => mode === volumeMode)
      ? [notSupported(`${path}.volumeMode`, volumeMode, volumeModes)]
      : []),
    ...validateSources(spec, path),
  ]
}
