// What a pod may say that runs on Windows, and what one that does not may not (upstream: validateWindows, validateLinux,
// validateWindowsSecurityContextOptions, validateWindowsHostProcessPod in pkg/apis/core/validation).
// https://kubernetes.io/docs/concepts/windows/intro/#compatibility-linux-similarities
import { addAll, forbidden, invalidValue, notSupported } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { dnsSubdomain } from '../names.ts'
import type { PodSpec } from '../types/podspec.ts'
import type { PodSecurityContext, SecurityContext, WindowsSecurityContextOptions } from '../types/security.ts'

/** By the system that the pod names, if it names one. */
export function validateSystem(spec: PodSpec, path: string): readonly FieldError[] {
  switch (spec.os?.name ?? '') {
    case '':
      return []
    case 'linux':
      return validateLinux(spec, path)
    case 'windows':
      return validateWindows(spec, path)
    default:
      return [notSupported(`${path}.os`, spec.os?.name, ['linux', 'windows'])]
  }
}

type Contained = { readonly context: SecurityContext; readonly at: string }

/** In the order in which they start. */
function contextsOf({ initContainers, containers, ephemeralContainers }: PodSpec, path: string): readonly Contained[] {
  return Object.entries({ initContainers, containers, ephemeralContainers }).flatMap(([list, all]) =>
    (all ?? []).map(({ securityContext }, i) => ({
      context: securityContext ?? {},
      at: `${path}.${list}[${i}].securityContext`,
    })),
  )
}

function validateLinux(spec: PodSpec, path: string): readonly FieldError[] {
  const why = 'windows options cannot be set for a linux pod'
  const all = [{ context: spec.securityContext ?? {}, at: `${path}.securityContext` }, ...contextsOf(spec, path)]
  return all.flatMap(({ context, at }) => (context.windowsOptions ? [forbidden(`${at}.windowsOptions`, why)] : []))
}

const ofPodContext = [
  'appArmorProfile',
  'seLinuxOptions',
  'seLinuxChangePolicy',
  'seccompProfile',
  'fsGroup',
  'fsGroupChangePolicy',
  'sysctls',
  'runAsUser',
  'runAsGroup',
  'supplementalGroups',
  'supplementalGroupsPolicy',
] as const satisfies readonly (keyof PodSecurityContext)[]
const ofContainer = [
  'appArmorProfile',
  'seLinuxOptions',
  'seccompProfile',
  'capabilities',
  'readOnlyRootFilesystem',
  'privileged',
  'allowPrivilegeEscalation',
  'procMount',
  'runAsUser',
  'runAsGroup',
] as const satisfies readonly (keyof SecurityContext)[]

function validateWindows(spec: PodSpec, path: string): readonly FieldError[] {
  const errors: FieldError[] = []
  const refuse = (at: string) => errors.push(forbidden(at, 'cannot be set for a windows pod'))
  if (spec.hostUsers !== undefined) refuse(`${path}.hostUsers`)
  if (spec.hostPID) refuse(`${path}.hostPID`)
  if (spec.hostIPC) refuse(`${path}.hostIPC`)
  if (spec.shareProcessNamespace !== undefined) refuse(`${path}.shareProcessNamespace`)
  const own = spec.securityContext ?? {}
  for (const key of ofPodContext) {
    const isNone = own[key] === undefined || (key === 'sysctls' && own.sysctls?.length === 0)
    if (!isNone) refuse(`${path}.securityContext.${key}`)
  }
  for (const { context, at } of contextsOf(spec, path)) {
    for (const key of ofContainer) if (context[key] !== undefined) refuse(`${at}.${key}`)
  }
  return errors
}

/** Containers that are processes of the node itself: all of a pod are, or none, and the pod's network is the node's. */
export function validateHostProcess(spec: PodSpec, path: string): readonly FieldError[] {
  const errors: FieldError[] = []
  const ofAll = spec.securityContext?.windowsOptions?.hostProcess
  const contexts = contextsOf(spec, path)
  let count = 0
  for (const { context, at } of contexts) {
    const own = context.windowsOptions?.hostProcess
    if (ofAll !== undefined && own !== undefined && ofAll !== own) {
      const why = `pod hostProcess value must be identical if both are specified, was ${ofAll}`
      errors.push(invalidValue(`${at}.windowsOptions.hostProcess`, own, why))
    }
    if (own ?? ofAll) count += 1
  }
  if (count === 0) return errors
  if (count < contexts.length) {
    const why = 'If pod contains any hostProcess containers then all containers must be HostProcess containers'
    errors.push(invalidValue(path, '', why))
  }
  if (!spec.hostNetwork) {
    const why = 'hostNetwork must be true if pod contains any hostProcess containers'
    errors.push(invalidValue(`${path}.hostNetwork`, false, why))
  }
  return errors
}

const specBytesMax = 64 * 1024
const domainLengthMax = 256
const userLengthMax = 104
const controlCharacter = /[\u0000-\u001f\u007f]/
const netBiosName = /^[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}$/
const dnsName = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/

export function validateWindowsOptions(options: WindowsSecurityContextOptions, path: string): readonly FieldError[] {
  const { gmsaCredentialSpecName: name, gmsaCredentialSpec: spec, runAsUserName: user } = options
  const errors: FieldError[] = []
  const wrongName = name === undefined ? undefined : dnsSubdomain(name)
  if (wrongName !== undefined) errors.push(invalidValue(`${path}.gmsaCredentialSpecName`, name, wrongName))
  if (spec === '') {
    errors.push(invalidValue(`${path}.gmsaCredentialSpec`, spec, 'gmsaCredentialSpec cannot be an empty string'))
  } else if (spec !== undefined && Buffer.byteLength(spec) > specBytesMax) {
    errors.push(invalidValue(`${path}.gmsaCredentialSpec`, spec, 'gmsaCredentialSpec size must be under 64 KiB'))
  }
  if (user !== undefined) {
    addAll(
      errors,
      userFaults(user).map(why => invalidValue(`${path}.runAsUserName`, user, why)),
    )
  }
  return errors
}

/** What is wrong with 'DOMAIN\user' or 'user', in words. */
function userFaults(text: string): readonly string[] {
  if (text === '') return ['runAsUserName cannot be an empty string']
  if (controlCharacter.test(text)) return ['runAsUserName cannot contain control characters']
  const parts = text.split('\\')
  if (parts.length > 2) return ['runAsUserName cannot contain more than one backslash']
  const user = parts.at(-1) ?? ''
  const domain = parts.length === 2 ? parts[0] : undefined
  const faults: string[] = []
  if (domain !== undefined && Buffer.byteLength(domain) >= domainLengthMax) {
    faults.push(`runAsUserName's Domain length must be under ${domainLengthMax} characters`)
  }
  if (domain !== undefined && !netBiosName.test(domain) && !dnsName.test(domain)) {
    faults.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
  }
  if (user === '') faults.push("runAsUserName's User cannot be empty")
  else if (Buffer.byteLength(user) > userLengthMax) {
    faults.push(`runAsUserName's User length must not be longer than ${userLengthMax} characters`)
  }
  if (/^[. ]+$/.test(user)) faults.push("runAsUserName's User cannot contain only periods or spaces")
  if (/["/\\:;|=,+*?<>@[\]]/.test(user)) {
    faults.push(`runAsUserName's User cannot contain the following characters: "/\\:;|=,+*?<>@[]`)
  }
  return faults
}
