// What is wrong with what a pod or a container may do (upstream: ValidatePodSecurityContext, ValidateSecurityContext).
import { addAll, duplicateValue, invalidValue, notSupported, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import type { PodSpec } from '../types/podspec.ts'
import type { AppArmorProfile, PodSecurityContext, SeccompProfile, SecurityContext } from '../types/security.ts'
import { validateWindowsOptions } from './windows.ts'

const idMax = 2_147_483_647
const profileTypes = ['Localhost', 'RuntimeDefault', 'Unconfined']
const sysctlPattern = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/
const sysctlSentence =
  'must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$'

/** `host`: which namespaces of its node the pod shares. */
export function validatePodSecurity(
  context: PodSecurityContext,
  path: string,
  host: Pick<PodSpec, 'hostNetwork' | 'hostIPC'>,
): readonly FieldError[] {
  const errors: FieldError[] = []
  for (const key of ['runAsUser', 'runAsGroup', 'fsGroup'] as const) {
    addAll(errors, validateId(context[key], `${path}.${key}`))
  }
  for (const [i, id] of (context.supplementalGroups ?? []).entries()) {
    addAll(errors, validateId(id, `${path}.supplementalGroups[${i}]`))
  }
  for (const [key, allowed] of [
    ['fsGroupChangePolicy', ['Always', 'OnRootMismatch']],
    ['supplementalGroupsPolicy', ['Merge', 'Strict']],
  ] as const) {
    const value = context[key]
    if (value !== undefined && !(allowed as readonly string[]).includes(value)) {
      errors.push(notSupported(`${path}.${key}`, value, allowed))
    }
  }
  addAll(errors, validateProfiles(context, path))
  const names = new Set<string>()
  for (const [i, { name }] of (context.sysctls ?? []).entries()) {
    const at = `${path}.sysctls[${i}].name`
    if (name && (name.length > 253 || !sysctlPattern.test(name))) errors.push(invalidValue(at, name, sysctlSentence))
    else if (names.has(name)) errors.push(duplicateValue(at, name))
    names.add(name)
    const shared = namespaceOf(name)
    if (shared && host[shared]) errors.push(invalidValue(at, name, `may not be specified when '${shared}' is true`))
  }
  return errors
}

/** The namespace of the kernel to which a setting belongs, by the field that shares it. */
function namespaceOf(sysctl: string): 'hostNetwork' | 'hostIPC' | undefined {
  const name = dotted(sysctl)
  if (name.startsWith('net.')) return 'hostNetwork'
  const ofIpc = ['kernel.shm', 'kernel.msg', 'fs.mqueue.'].some(prefix => name.startsWith(prefix))
  return ofIpc || name === 'kernel.sem' ? 'hostIPC' : undefined
}

/** Where parts are set apart by slashes first, slashes and dots change places: net/ipv4/conf/eth0.1/forwarding. */
function dotted(name: string): string {
  if (!/^[^./]*\//.test(name)) return name
  return name.replace(/[./]/g, sign => (sign === '/' ? '.' : '/'))
}

/** `hostUsers`: the pod has the users of its node. */
export function validateContainerSecurity(
  context: SecurityContext,
  path: string,
  hostUsers: boolean,
): readonly FieldError[] {
  const errors: FieldError[] = []
  for (const key of ['runAsUser', 'runAsGroup'] as const) addAll(errors, validateId(context[key], `${path}.${key}`))
  const { procMount } = context
  if (procMount !== undefined && procMount !== 'Default' && procMount !== 'Unmasked') {
    errors.push(notSupported(`${path}.procMount`, procMount, ['Default', 'Unmasked']))
  }
  if (procMount === 'Unmasked' && hostUsers) {
    errors.push(invalidValue(`${path}.procMount`, procMount, '`hostUsers` must be false to use `Unmasked`'))
  }
  addAll(errors, validateProfiles(context, path))
  if (context.allowPrivilegeEscalation === false) {
    if (context.privileged === true) {
      const why = 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'
      errors.push(invalidValue(path, context, why))
    }
    if (context.capabilities?.add?.includes('CAP_SYS_ADMIN')) {
      const why = 'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN'
      errors.push(invalidValue(path, context, why))
    }
  }
  return errors
}

function validateId(id: number | undefined, path: string): readonly FieldError[] {
  if (id === undefined || (id >= 0 && id <= idMax)) return []
  return [invalidValue(path, id, `must be between 0 and ${idMax}, inclusive`)]
}

type Profiles = Pick<SecurityContext, 'seccompProfile' | 'appArmorProfile' | 'windowsOptions'>

function validateProfiles(
  { seccompProfile, appArmorProfile, windowsOptions }: Profiles,
  path: string,
): readonly FieldError[] {
  const errors: FieldError[] = []
  if (seccompProfile) addAll(errors, validateProfile(seccompProfile, `${path}.seccompProfile`, 'seccomp'))
  if (windowsOptions) addAll(errors, validateWindowsOptions(windowsOptions, `${path}.windowsOptions`))
  if (appArmorProfile) addAll(errors, validateProfile(appArmorProfile, `${path}.appArmorProfile`, 'AppArmor'))
  return errors
}

/** A profile of the node's own is named; of the others there is one each. */
function validateProfile(
  profile: SeccompProfile | AppArmorProfile,
  path: string,
  what: 'seccomp' | 'AppArmor',
): readonly FieldError[] {
  const { type, localhostProfile } = profile
  const at = `${path}.localhostProfile`
  if (type && !profileTypes.includes(type)) return [notSupported(`${path}.type`, type, profileTypes)]
  if (type !== 'Localhost') {
    if (localhostProfile === undefined) return []
    return [invalidValue(at, localhostProfile, `can only be set when ${what} type is Localhost`)]
  }
  if (localhostProfile === undefined) return [requiredValue(at, `must be set when ${what} type is Localhost`)]
  if (what === 'AppArmor') return []
  if (localhostProfile.startsWith('/')) return [invalidValue(at, localhostProfile, 'must be a relative path')]
  if (!localhostProfile.split('/').includes('..')) return []
  return [invalidValue(at, localhostProfile, "must not contain '..'")]
}
