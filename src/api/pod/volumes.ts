// What is wrong with a pod's volumes (upstream: ValidateVolumes).
import { validateClaimSpec } from '../claims.ts'
import { duplicateValue, forbidden, invalidValue, requiredValue, tooLong } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { configKey, dnsLabel, dnsSubdomain } from '../names.ts'
import { validateHostPath } from '../storage.ts'
import type { EphemeralVolumeSource, KeyToPath, Volume } from '../types/volume.ts'
import { validateAnnotations, validateLabels } from '../validate.ts'
import { validateSubPath } from './containers.ts'
import { validateFieldRef, validateResourceRef } from './downward.ts'

export function validateVolumes(volumes: readonly Volume[], path: string): readonly FieldError[] {
  const errors: FieldError[] = []
  const names = new Set<string>()
  for (const [i, volume] of volumes.entries()) {
    const at = `${path}[${i}]`
    const wrong = volume.name ? dnsLabel(volume.name) : undefined
    if (wrong !== undefined) errors.push(invalidValue(`${at}.name`, volume.name, wrong))
    if (names.has(volume.name)) errors.push(duplicateValue(`${at}.name`, volume.name))
    names.add(volume.name)
    errors.push(...validateSource(volume, at))
  }
  return errors
}

function validateSource(volume: Volume, path: string): readonly FieldError[] {
  const { name: _, ...sources } = volume
  const kinds = Object.keys(sources)
  if (kinds.length === 0) return [requiredValue(path, 'must specify a volume type')]
  const errors = kinds.slice(1).map(kind => forbidden(`${path}.${kind}`, 'may not specify more than 1 volume type'))
  const { configMap, secret, downwardAPI, projected, hostPath, emptyDir, nfs, persistentVolumeClaim } = volume
  if (hostPath) errors.push(...validateHostPath(hostPath, `${path}.hostPath`))
  const driver = volume.csi?.driver ?? ''
  const wrong = driver === '' ? undefined : dnsSubdomain(driver.toLowerCase())
  if (driver.length > 63) errors.push(tooLong(`${path}.csi.driver`, 63))
  if (wrong !== undefined) errors.push(invalidValue(`${path}.csi.driver`, driver, wrong))
  if (emptyDir?.sizeLimit?.startsWith('-')) {
    errors.push(forbidden(`${path}.emptyDir.sizeLimit`, 'SizeLimit field must be a valid resource quantity'))
  }
  if (configMap) {
    if (!configMap.name) errors.push(requiredValue(`${path}.configMap.name`))
    errors.push(...validateMode(configMap.defaultMode, `${path}.configMap.defaultMode`))
    errors.push(...validateItems(configMap.items ?? [], `${path}.configMap.items`))
  }
  if (secret) {
    if (!secret.secretName) errors.push(requiredValue(`${path}.secret.secretName`))
    errors.push(...validateMode(secret.defaultMode, `${path}.secret.defaultMode`))
    errors.push(...validateItems(secret.items ?? [], `${path}.secret.items`))
  }
  if (downwardAPI) {
    errors.push(...validateMode(downwardAPI.defaultMode, `${path}.downwardAPI.defaultMode`))
    errors.push(...validateFiles(downwardAPI.items ?? [], `${path}.downwardAPI.items`))
  }
  if (nfs && nfs.path && !nfs.path.startsWith('/')) {
    errors.push(invalidValue(`${path}.nfs.path`, nfs.path, 'must be an absolute path'))
  }
  const claim = persistentVolumeClaim?.claimName
  if (claim && dnsSubdomain(claim) !== undefined) {
    errors.push(invalidValue(`${path}.persistentVolumeClaim.claimName`, claim, dnsSubdomain(claim) ?? ''))
  }
  if (projected) errors.push(...validateProjected(projected, `${path}.projected`))
  if (volume.ephemeral) errors.push(...validateEphemeral(volume.ephemeral, `${path}.ephemeral`))
  return errors
}

function validateEphemeral({ volumeClaimTemplate }: EphemeralVolumeSource, source: string): readonly FieldError[] {
  const path = `${source}.volumeClaimTemplate`
  if (!volumeClaimTemplate) return [requiredValue(path)]
  const { metadata, spec } = volumeClaimTemplate
  return [
    ...validateAnnotations(metadata?.annotations, `${path}.metadata.annotations`),
    ...validateLabels(metadata?.labels, `${path}.metadata.labels`),
    ...(spec ? validateClaimSpec(spec, `${path}.spec`) : []),
  ]
}

function validateMode(mode: number | undefined, path: string): readonly FieldError[] {
  if (mode === undefined || (mode >= 0 && mode <= 0o777)) return []
  return [invalidValue(path, mode, 'must be a number between 0 and 0777 (octal), both inclusive')]
}

function validateItems(items: readonly KeyToPath[], path: string): readonly FieldError[] {
  return items.flatMap((item, i) => {
    const wrong = item.key ? configKey(item.key) : undefined
    return [
      ...(wrong === undefined ? [] : [invalidValue(`${path}[${i}].key`, item.key, wrong)]),
      ...validateLocalPath(item.path ?? '', `${path}[${i}].path`),
      ...validateMode(item.mode, `${path}[${i}].mode`),
    ]
  })
}

function validateLocalPath(text: string, path: string): readonly FieldError[] {
  const errors = validateSubPath(text, path)
  return text.startsWith('..') && errors.length === 0 ? [invalidValue(path, text, "must not start with '..'")] : errors
}

type Files = NonNullable<NonNullable<Volume['downwardAPI']>['items']>

function validateFiles(files: Files, path: string): readonly FieldError[] {
  return files.flatMap((file, i) => {
    const at = `${path}[${i}]`
    const errors = [...validateLocalPath(file.path ?? '', `${at}.path`), ...validateMode(file.mode, `${at}.mode`)]
    if (file.fieldRef) errors.push(...validateFieldRef(file.fieldRef, `${at}.fieldRef`, 'file'))
    if (file.fieldRef && file.resourceFieldRef) {
      errors.push(invalidValue(at, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'))
    } else if (!file.fieldRef && !file.resourceFieldRef) {
      errors.push(requiredValue(at, 'one of fieldRef and resourceFieldRef is required'))
    } else if (file.resourceFieldRef) {
      errors.push(...validateResourceRef(file.resourceFieldRef, `${at}.resourceFieldRef`, 'file'))
    }
    return errors
  })
}

function validateProjected(projected: NonNullable<Volume['projected']>, path: string): readonly FieldError[] {
  const errors: FieldError[] = [...validateMode(projected.defaultMode, `${path}.defaultMode`)]
  const taken = new Set<string>()
  for (const [i, source] of (projected.sources ?? []).entries()) {
    const at = `${path}.sources[${i}]`
    const { configMap, secret, downwardAPI, serviceAccountToken } = source
    const kinds = Object.keys(source)
    if (kinds.length === 0) errors.push(requiredValue(at, 'must specify a volume type'))
    for (const kind of kinds.slice(1)) {
      errors.push(forbidden(`${at}.${kind}`, 'may not specify more than 1 volume type per source'))
    }
    if (configMap && !configMap.name) errors.push(requiredValue(`${at}.configMap.name`))
    if (secret && !secret.name) errors.push(requiredValue(`${at}.secret.name`))
    errors.push(...validateItems(configMap?.items ?? [], `${at}.configMap.items`))
    errors.push(...validateItems(secret?.items ?? [], `${at}.secret.items`))
    errors.push(...validateFiles(downwardAPI?.items ?? [], `${at}.downwardAPI.items`))
    const seconds = serviceAccountToken?.expirationSeconds
    if (seconds !== undefined && seconds < 600) {
      errors.push(
        invalidValue(
          `${at}.serviceAccountToken.expirationSeconds`,
          seconds,
          'may not specify a duration less than 10 minutes',
        ),
      )
    }
    const items = [...(configMap?.items ?? []), ...(secret?.items ?? []), ...(downwardAPI?.items ?? [])]
    for (const { path: file } of items) {
      if (taken.has(file)) errors.push(invalidValue(path, file, 'conflicting duplicate paths'))
      taken.add(file)
    }
  }
  return errors
}
