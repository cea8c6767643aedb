// What is wrong with a pod's spec, and what of it may change once the pod is there (upstream: ValidatePodSpec,
// ValidatePodUpdate in pkg/apis/core/validation).
import { Derivation } from '../../lib/kept.ts'
import { equalJson } from '../equal.ts'
import { addAll, duplicateValue, forbidden, invalidValue, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import type { Pod } from '../kinds/pod.ts'
import { dnsLabel, dnsSubdomain, type NameRule, qualifiedName } from '../names.ts'
import type { PodAffinityTerm, Toleration } from '../types/affinity.ts'
import type { Container } from '../types/container.ts'
import type { PodSpec, PodTemplateSpec } from '../types/podspec.ts'
import { validateAnnotations, validateLabels } from '../validate.ts'
import { isAddress, validateContainers } from './containers.ts'
import { validateLabelKeys, validateSpreadKeys } from './labelkeys.ts'
import { validateNodesChange, validateNodeTerm, validateNodeTerms, withNodesOf } from './nodeterms.ts'
import { validateResources } from './resources.ts'
import { validatePodSecurity } from './security.ts'
import { validateSelector } from './selector.ts'
import { validateVolumes } from './volumes.ts'
import { validateHostProcess, validateSystem } from './windows.ts'

export function validateTemplate(template: PodTemplateSpec, path: string): readonly FieldError[] {
  return [
    ...validateLabels(template.metadata?.labels, `${path}.metadata.labels`),
    ...validateAnnotations(template.metadata?.annotations, `${path}.metadata.annotations`),
    ...(template.spec ? validatePodSpec(template.spec, `${path}.spec`) : []),
    ...((template.spec?.ephemeralContainers ?? []).length > 0
      ? [forbidden(`${path}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template')]
      : []),
  ]
}

function named(path: string, text: string | undefined, rule: NameRule): readonly FieldError[] {
  const wrong = text ? rule(text) : undefined
  return wrong === undefined ? [] : [invalidValue(path, text, wrong)]
}

const faults = new Derivation<string, readonly FieldError[]>()

export function validatePodSpec(spec: PodSpec, path: string): readonly FieldError[] {
  return faults.of(spec, path, () => faultsOf(spec, path))
}

function faultsOf(spec: PodSpec, path: string): readonly FieldError[] {
  const errors: FieldError[] = [
    ...validateVolumes(spec.volumes ?? [], `${path}.volumes`),
    ...validateContainers(spec, path),
    ...validateResources(spec.resources, `${path}.resources`),
    ...validateLabels(spec.nodeSelector, `${path}.nodeSelector`),
    ...validateTolerations(spec.tolerations ?? [], `${path}.tolerations`),
    ...validateDns(spec, path),
    ...validateAffinity(spec, `${path}.affinity`),
    ...validateSpread(spec, `${path}.topologySpreadConstraints`),
    ...validatePodSecurity(spec.securityContext ?? {}, `${path}.securityContext`, spec),
    ...validateGates(spec, `${path}.schedulingGates`),
    ...named(`${path}.hostname`, spec.hostname, dnsLabel),
    ...named(`${path}.subdomain`, spec.subdomain, dnsLabel),
    ...named(`${path}.nodeName`, spec.nodeName, dnsSubdomain),
    ...named(`${path}.serviceAccountName`, spec.serviceAccountName, dnsSubdomain),
    ...named(`${path}.priorityClassName`, spec.priorityClassName, dnsSubdomain),
    ...named(`${path}.runtimeClassName`, spec.runtimeClassName, dnsSubdomain),
    ...named(`${path}.schedulerName`, spec.schedulerName, dnsSubdomain),
  ]
  const grace = spec.terminationGracePeriodSeconds
  if (grace !== undefined && grace < 0) {
    errors.push(invalidValue(`${path}.terminationGracePeriodSeconds`, grace, 'must be greater than or equal to 0'))
  }
  const deadline = spec.activeDeadlineSeconds
  if (deadline !== undefined && (deadline < 1 || deadline > 2_147_483_647)) {
    const why = 'must be between 1 and 2147483647, inclusive'
    errors.push(invalidValue(`${path}.activeDeadlineSeconds`, deadline, why))
  }
  for (const [i, alias] of (spec.hostAliases ?? []).entries()) {
    if (alias.ip && !isAddress(alias.ip)) {
      const why = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'
      errors.push(invalidValue(`${path}.hostAliases[${i}].ip`, alias.ip, why))
    }
    for (const [j, name] of (alias.hostnames ?? []).entries()) {
      errors.push(...named(`${path}.hostAliases[${i}].hostnames[${j}]`, name, dnsSubdomain))
    }
  }
  for (const [i, gate] of (spec.readinessGates ?? []).entries()) {
    errors.push(...named(`${path}.readinessGates[${i}].conditionType`, gate.conditionType, qualifiedName))
  }
  if (spec.shareProcessNamespace && spec.hostPID) {
    errors.push(
      invalidValue(`${path}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled'),
    )
  }
  addAll(errors, validateHostProcess(spec, path))
  addAll(errors, validateHostUsers(spec, path))
  addAll(errors, validateSystem(spec, path))
  return errors
}

/** Users of its own go with none of the node's other namespaces. */
function validateHostUsers(spec: PodSpec, path: string): readonly FieldError[] {
  if (spec.hostUsers !== false) return []
  const shared = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter(key => spec[key])
  return shared.map(key => forbidden(`${path}.${key}`, 'when `hostUsers` is false'))
}

function validateGates({ schedulingGates = [] }: PodSpec, path: string): readonly FieldError[] {
  const seen = new Set<string>()
  return schedulingGates.flatMap(({ name }, i) => {
    const errors = [...named(`${path}[${i}]`, name, qualifiedName)]
    if (seen.has(name)) errors.push(duplicateValue(`${path}[${i}]`, name))
    seen.add(name)
    return errors
  })
}

export function validateTolerations(tolerations: readonly Toleration[], path: string): readonly FieldError[] {
  const errors: FieldError[] = []
  for (const [i, toleration] of tolerations.entries()) {
    const at = `${path}[${i}]`
    const { key = '', operator = 'Equal', value = '', effect = '', tolerationSeconds } = toleration
    errors.push(...named(`${at}.key`, key, qualifiedName))
    if (key === '' && operator !== 'Exists') {
      const why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
      errors.push(invalidValue(`${at}.operator`, operator, why))
    }
    if (tolerationSeconds !== undefined && effect !== 'NoExecute') {
      errors.push(invalidValue(`${at}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
    }
    if (operator === 'Exists' && value !== '') {
      errors.push(invalidValue(`${at}.operator`, toleration, "value must be empty when `operator` is 'Exists'"))
    }
  }
  return errors
}

function validateDns(spec: PodSpec, path: string): readonly FieldError[] {
  const config = spec.dnsConfig
  const errors: FieldError[] = []
  const at = `${path}.dnsConfig`
  const servers = config?.nameservers ?? []
  if (spec.dnsPolicy === 'None') {
    if (!config) return [requiredValue(at, 'must provide `dnsConfig` when `dnsPolicy` is None')]
    if (servers.length === 0) {
      errors.push(
        requiredValue(`${at}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None'),
      )
    }
  }
  if (servers.length > 3) {
    errors.push(invalidValue(`${at}.nameservers`, servers, 'must not have more than 3 nameservers'))
  }
  for (const [i, server] of servers.entries()) {
    if (isAddress(server)) continue
    const why = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'
    errors.push(invalidValue(`${at}.nameservers[${i}]`, server, why))
  }
  const searches = config?.searches ?? []
  if (searches.length > 32) {
    errors.push(invalidValue(`${at}.searches`, searches, 'must not have more than 32 search paths'))
  }
  for (const [i, option] of (config?.options ?? []).entries()) {
    if (!option.name) errors.push(requiredValue(`${at}.options[${i}]`, 'must not be empty'))
  }
  return errors
}

function validateAffinity(spec: PodSpec, path: string): readonly FieldError[] {
  const { nodeAffinity, podAffinity, podAntiAffinity } = spec.affinity ?? {}
  const errors: FieldError[] = []
  const preferred = 'preferredDuringSchedulingIgnoredDuringExecution'
  const required = 'requiredDuringSchedulingIgnoredDuringExecution'
  const weighed = (weight: number, at: string) => {
    if (weight < 1 || weight > 100) errors.push(invalidValue(`${at}.weight`, weight, 'must be in the range 1-100'))
  }
  for (const [i, { weight, preference }] of (nodeAffinity?.[preferred] ?? []).entries()) {
    const at = `${path}.nodeAffinity.${preferred}[${i}]`
    weighed(weight, at)
    if (preference) addAll(errors, validateNodeTerm(preference, `${at}.preference`))
  }
  const selector = nodeAffinity?.[required]
  if (selector) addAll(errors, validateNodeTerms(selector, `${path}.nodeAffinity.${required}`, true))
  for (const [name, affinity] of Object.entries({ podAffinity, podAntiAffinity })) {
    for (const [i, term] of (affinity?.[required] ?? []).entries()) {
      addAll(errors, validateTerm(term, `${path}.${name}.${required}[${i}]`))
    }
    for (const [i, { weight, podAffinityTerm }] of (affinity?.[preferred] ?? []).entries()) {
      const at = `${path}.${name}.${preferred}[${i}]`
      weighed(weight, at)
      if (podAffinityTerm) addAll(errors, validateTerm(podAffinityTerm, `${at}.podAffinityTerm`))
    }
  }
  return errors
}

function validateTerm(term: PodAffinityTerm, path: string): readonly FieldError[] {
  return [
    ...validateSelector(term.labelSelector, `${path}.labelSelector`),
    ...validateSelector(term.namespaceSelector, `${path}.namespaceSelector`),
    ...(term.namespaces ?? []).flatMap(name => named(`${path}.namespace`, name, dnsLabel)),
    ...validateLabelKeys(term, path),
    ...named(`${path}.topologyKey`, term.topologyKey, qualifiedName),
  ]
}

function validateSpread(spec: PodSpec, path: string): readonly FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  for (const [i, constraint] of (spec.topologySpreadConstraints ?? []).entries()) {
    const at = `${path}[${i}]`
    const { maxSkew, topologyKey, whenUnsatisfiable, minDomains, labelSelector } = constraint
    if (maxSkew <= 0) errors.push(invalidValue(`${at}.maxSkew`, maxSkew, 'must be greater than zero'))
    if (minDomains !== undefined && minDomains <= 0) {
      errors.push(invalidValue(`${at}.minDomains`, minDomains, 'must be greater than zero'))
    }
    if (minDomains !== undefined && whenUnsatisfiable !== 'DoNotSchedule') {
      const why = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${whenUnsatisfiable}`
      errors.push(invalidValue(`${at}.minDomains`, minDomains, why))
    }
    const pair = `{${topologyKey}, ${whenUnsatisfiable}}`
    if (seen.has(pair)) errors.push(duplicateValue(`${at}.{topologyKey, whenUnsatisfiable}`, pair))
    seen.add(pair)
    addAll(errors, validateSpreadKeys(constraint, at))
    addAll(errors, validateSelector(labelSelector, `${at}.labelSelector`))
  }
  return errors
}

export function validatePod(pod: Pod, old: Pod | undefined): readonly FieldError[] {
  const errors: FieldError[] = [...validatePodSpec(pod.spec, 'spec')]
  if (!old && (pod.spec.ephemeralContainers ?? []).length > 0) {
    errors.push(forbidden('spec.ephemeralContainers', 'cannot be set on create'))
  }
  if (!old && (pod.spec.schedulingGates ?? []).length > 0 && pod.spec.nodeName) {
    errors.push(forbidden('spec.nodeName', 'cannot be set until all schedulingGates have been cleared'))
  }
  return errors
}

const mutable =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,' +
  '`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),' +
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'

/** For a plain update; subresources have put back what they may not change before. */
export function validatePodChange(spec: PodSpec, old: PodSpec): readonly FieldError[] {
  const errors: FieldError[] = []
  for (const list of ['containers', 'initContainers'] as const) {
    if ((spec[list] ?? []).length === (old[list] ?? []).length) continue
    return [forbidden(`spec.${list}`, 'pod updates may not add or remove containers')]
  }
  const [deadline, before] = [spec.activeDeadlineSeconds, old.activeDeadlineSeconds]
  if (before !== undefined && deadline === undefined) {
    const why = 'must not update from a positive integer to nil value'
    errors.push(invalidValue('spec.activeDeadlineSeconds', null, why))
  } else if (before !== undefined && deadline !== undefined && deadline > before) {
    errors.push(invalidValue('spec.activeDeadlineSeconds', deadline, 'must be less than or equal to previous value'))
  }
  const kept = (old.tolerations ?? []).every(toleration =>
    (spec.tolerations ?? []).some(({ tolerationSeconds: _, ...rest }) => {
      const { tolerationSeconds: __, ...wanted } = toleration
      return equalJson(rest, wanted)
    }),
  )
  if (!kept)
    errors.push(forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds'))
  const gates = new Set((old.schedulingGates ?? []).map(({ name }) => name))
  const added = (spec.schedulingGates ?? []).filter(({ name }) => !gates.has(name))
  if (added.length > 0) {
    errors.push(
      forbidden(
        'spec.schedulingGates',
        `only deletion is allowed, but found new scheduling gates ${added.map(g => `'${g.name}'`).join(', ')}`,
      ),
    )
  }
  if (isGated(old)) addAll(errors, validatePlaceChange(spec, old))
  if (!equalJson(fixedPart(spec, old), fixedPart(old, old))) errors.push(forbidden('spec', mutable))
  return errors
}

const isGated = ({ schedulingGates = [] }: PodSpec): boolean => schedulingGates.length > 0

/** Of a pod that waits behind gates. */
function validatePlaceChange({ nodeSelector = {}, affinity }: PodSpec, old: PodSpec): readonly FieldError[] {
  const keeps = Object.entries(old.nodeSelector ?? {}).every(([key, value]) => nodeSelector[key] === value)
  const why = 'only additions to spec.nodeSelector are allowed (no mutations or deletions)'
  return [
    ...(keeps ? [] : [invalidValue('spec.nodeSelector', nodeSelector, why)]),
    ...validateNodesChange(affinity?.nodeAffinity, old.affinity?.nodeAffinity, 'spec.affinity.nodeAffinity'),
  ]
}

/** Who joined a pod stays in it as it came: containers for debugging can only be added. */
export function validateEphemeralChange(spec: PodSpec, old: PodSpec): readonly FieldError[] {
  const path = 'spec.ephemeralContainers'
  const now = new Map((spec.ephemeralContainers ?? []).map(container => [container.name, container]))
  return (old.ephemeralContainers ?? []).flatMap(container => {
    const same = now.get(container.name)
    const name = `existing ephemeral containers ${JSON.stringify(container.name)}`
    if (same === undefined) return [forbidden(path, `${name} may not be removed\n`)]
    return equalJson(same, container) ? [] : [forbidden(path, `${name} may not be changed\n`)]
  })
}

/** The spec with all that may change taken from `old`. */
function fixedPart(spec: PodSpec, old: PodSpec): PodSpec {
  const gated = isGated(old)
  const grace = spec.terminationGracePeriodSeconds === 1 && (old.terminationGracePeriodSeconds ?? 0) < 0
  const {
    activeDeadlineSeconds: _,
    tolerations: __,
    schedulingGates: ___,
    nodeSelector,
    affinity,
    ...rest
  } = grace ? { ...spec, terminationGracePeriodSeconds: old.terminationGracePeriodSeconds } : spec
  const placed = gated ? withNodesOf(affinity, old.affinity) : affinity
  return {
    ...rest,
    ...(!gated && nodeSelector && { nodeSelector }),
    ...(placed && { affinity: placed }),
    containers: withImages(spec.containers, old.containers),
    ...(spec.initContainers && { initContainers: withImages(spec.initContainers, old.initContainers ?? []) }),
  } as PodSpec
}

function withImages(containers: readonly Container[] = [], old: readonly Container[] = []): readonly Container[] {
  return containers.map((container, i) => {
    const image = old[i]?.image
    return image === undefined ? container : { ...container, image }
  })
}
