// Holds pods to the level that the labels of their namespace name: enforce refuses, warn warns, audit is noted in the audit
// event, the latter two also of the templates of workloads. Labels that name no level count as the strictest. Nobody is
// exempt. Pure. After k8s.io/pod-security-admission/admission.
// https://kubernetes.io/docs/concepts/security/pod-security-admission/
import { ApiError, invalid } from '../../api/error.ts'
import { invalidValue } from '../../api/field.ts'
import { type FieldError, type KubeObject, resourceOf } from '../../api/kind.ts'
import { type Namespace, namespace as namespaceKind } from '../../api/kinds/namespace.ts'
import { type Pod, pod as podKind } from '../../api/kinds/pod.ts'
import type { PodSpec } from '../../api/types/podspec.ts'
import { compareText } from '../../lib/sorted.ts'
import type { Change, Plugin, Reading, Verdict } from './admission.ts'
import { latest, type Violation, violations } from './podsecurity-checks.ts'

const levels = ['privileged', 'baseline', 'restricted'] as const
type Level = (typeof levels)[number]
/** `minor`: of version 1.x. */
type Bound = { readonly level: Level; readonly minor: number }
type Policy = { readonly enforce: Bound; readonly warn: Bound; readonly audit: Bound }

const prefix = 'pod-security.kubernetes.io/'

/** What a namespace asks for. Always a policy, also when its labels are wrong. */
function policyOf(labels: Readonly<Record<string, string>> = {}): {
  readonly policy: Policy
  readonly errors: readonly FieldError[]
} {
  const errors: FieldError[] = []
  const wrong = (label: string, value: string, why: string) =>
    errors.push(invalidValue(`metadata.labels[${label}]`, value, why))
  const bound = (mode: keyof Policy): Bound => {
    const level = labels[prefix + mode]
    const version = labels[`${prefix}${mode}-version`]
    const minor = version === undefined ? latest : minorOf(version)
    const isLevel = level === undefined || levels.includes(level as Level)
    if (!isLevel) wrong(prefix + mode, level, `must be one of ${levels.join(', ')}`)
    if (minor === undefined) wrong(`${prefix}${mode}-version`, version ?? '', 'must be "latest" or "v1.x"')
    // A word that is no level refuses most where it counts, and says nothing elsewhere.
    const fallback = mode === 'enforce' ? 'restricted' : 'privileged'
    return { level: isLevel ? ((level ?? 'privileged') as Level) : fallback, minor: minor ?? latest }
  }
  const policy = { enforce: bound('enforce'), audit: bound('audit'), warn: bound('warn') }
  return { policy, errors }
}

function minorOf(version: string): number | undefined {
  if (version === 'latest') return latest
  const match = /^v1\.([0-9]|[1-9][0-9]*)$/.exec(version)
  return match === null ? undefined : Number(match[1])
}

const shown = ({ level, minor }: Bound): string => `${level}:${minor === latest ? 'latest' : `v1.${minor}`}`
const sameBound = (a: Bound, b: Bound): boolean => a.level === b.level && a.minor === b.minor
const details = (found: readonly Violation[]): string =>
  found.map(({ reason, detail }) => (detail === '' ? reason : `${reason} (${detail})`)).join(', ')

type Described = { readonly annotations: Readonly<Record<string, string>>; readonly spec: PodSpec }

const templated = new Set([
  'podtemplates',
  'replicationcontrollers',
  'replicasets.apps',
  'deployments.apps',
  'statefulsets.apps',
  'daemonsets.apps',
  'jobs.batch',
  'cronjobs.batch',
])

type Template = { readonly metadata?: { readonly annotations?: Record<string, string> }; readonly spec?: PodSpec }
type Templated = {
  readonly template?: Template
  readonly spec?: {
    readonly template?: Template
    readonly jobTemplate?: { readonly spec?: { readonly template?: Template } }
  }
}

function templateOf(object: KubeObject): Described | undefined {
  const { template, spec } = object as unknown as Templated
  const found = template ?? spec?.template ?? spec?.jobTemplate?.spec?.template
  if (found?.spec === undefined) return undefined
  return { annotations: found.metadata?.annotations ?? {}, spec: found.spec }
}

const podDoors = [undefined, 'ephemeralcontainers', 'resize']

export const podSecurity: Plugin = {
  name: 'PodSecurity',
  handles({ kind, verb, subresource }) {
    if (verb !== 'CREATE' && verb !== 'UPDATE') return false
    if (kind === podKind) return podDoors.includes(subresource)
    return subresource === undefined && (kind === namespaceKind || templated.has(resourceOf(kind)))
  },
  reads(change) {
    const { kind, namespace, name } = change
    if (kind !== namespaceKind) return [{ kind: namespaceKind, name: namespace ?? '' }]
    return tightened(change) === undefined ? [] : [{ kind: podKind, namespace: name }]
  },
  validate(change, seen) {
    if (change.kind === namespaceKind) return checkNamespace(change, seen)
    const space = seen.one(namespaceKind, undefined, change.namespace ?? '')
    const asked = policyOf(space?.metadata.labels)
    if (change.kind === podKind) return checkPod(change, asked)
    const described = change.object && templateOf(change.object)
    return described && checkTemplate(change, described, asked)
  },
}

type Asked = ReturnType<typeof policyOf>

const isPrivileged = (bounds: readonly Bound[]): boolean => bounds.every(({ level }) => level === 'privileged')

function checkPod(change: Change, asked: Asked): Verdict | undefined {
  const { object, old, verb, name } = change
  const { policy, errors } = asked
  const { enforce, audit, warn } = policy
  const pod = object as Pod
  const note = noteOf(change)
  if (errors.length === 0 && isPrivileged([enforce, audit, warn])) {
    note('enforce-policy', 'privileged:latest')
    return undefined
  }
  if (verb === 'UPDATE' && !isSignificant(pod, old as Pod)) return undefined
  note('enforce-policy', shown(enforce))
  const described = { annotations: pod.metadata.annotations ?? {}, spec: pod.spec }
  const found = violations(enforce.level, enforce.minor, described.annotations, described.spec)
  audited(note, described, asked)
  if (found.length === 0) return warned(described, policy)
  const why = `violates PodSecurity ${JSON.stringify(shown(enforce))}: ${details(found)}`
  throw new ApiError('Forbidden', `pods "${name}" is forbidden: ${why}`, { name, kind: 'pods' })
}

function checkTemplate(change: Change, described: Described, asked: Asked): Verdict | undefined {
  const { audit, warn } = asked.policy
  if (asked.errors.length === 0 && isPrivileged([audit, warn])) return undefined
  audited(noteOf(change), described, asked)
  return warned(described, asked.policy)
}

type Note = (name: 'enforce-policy' | 'audit-violations' | 'error', value: string) => void

const noteOf =
  ({ notes }: Change): Note =>
  (name, value) =>
    notes.annotate({ key: prefix + name, value })

function audited(note: Note, described: Described, { policy: { audit }, errors }: Asked): void {
  if (errors.length > 0) note('error', `Failed to parse policy: ${listed(errors)}`)
  const violated = violatedBy(described, audit)
  if (violated !== undefined) note('audit-violations', violated)
}

function listed(errors: readonly FieldError[]): string {
  const texts = errors.map(({ field, message }) => `${field}: ${message}`)
  return texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`
}

function warned(described: Described, { warn }: Policy): Verdict | undefined {
  const violated = violatedBy(described, warn)
  return violated === undefined ? undefined : { warnings: [violated] }
}

function violatedBy({ annotations, spec }: Described, bound: Bound): string | undefined {
  const found = violations(bound.level, bound.minor, annotations, spec)
  if (found.length === 0) return undefined
  return `would violate PodSecurity ${JSON.stringify(shown(bound))}: ${details(found)}`
}

/** What of a pod may change, and makes it another pod to look at. */
function isSignificant(pod: Pod, old: Pod): boolean {
  const images = ({ spec }: Pod) =>
    JSON.stringify(
      [spec.containers, spec.initContainers ?? [], spec.ephemeralContainers ?? []].map(list =>
        list.map(({ name, image }) => [name, image]),
      ),
    )
  const seccomp = ({ metadata }: Pod) =>
    JSON.stringify(
      Object.entries(metadata.annotations ?? {})
        .filter(([key]) => /^(container\.)?seccomp\.security\.alpha\.kubernetes\.io\//.test(key))
        .toSorted(([a], [b]) => compareText(a, b)),
    )
  return images(pod) !== images(old) || seccomp(pod) !== seccomp(old)
}

/** The level that a namespace now enforces, when its pods may not stand up to it. */
function tightened({ verb, object, old }: Change): Bound | undefined {
  if (verb !== 'UPDATE') return undefined
  const after = policyOf((object as Namespace).metadata.labels).policy.enforce
  const before = policyOf((old as Namespace).metadata.labels).policy.enforce
  if (sameBound(after, before) || after.level === 'privileged') return undefined
  const isLooser = levels.indexOf(after.level) <= levels.indexOf(before.level)
  return after.minor === before.minor && isLooser ? undefined : after
}

function checkNamespace(change: Change, seen: Reading): Verdict | undefined {
  const { object, old, name } = change
  const { errors } = policyOf(object?.metadata.labels)
  const before = old === undefined ? [] : policyOf(old.metadata.labels).errors
  if (errors.length > 0 && JSON.stringify(errors) !== JSON.stringify(before)) throw invalid(namespaceKind, name, errors)
  const bound = tightened(change)
  if (bound === undefined) return undefined
  return { warnings: warningsOfPods(name, bound, seen.all(podKind, name)) }
}

/** How many are looked at when a namespace becomes stricter. Upstream stops after a second, too; so many take less. */
const checkedCountMax = 3_000

/** One line for all pods that are wrong in the same way, led by the first of them. */
function warningsOfPods(namespace: string, bound: Bound, all: readonly Pod[]): readonly string[] {
  const pods = differentFirst(all).slice(0, checkedCountMax)
  const byWrong = new Map<string, string[]>()
  for (const { metadata, spec } of pods) {
    const found = violations(bound.level, bound.minor, metadata.annotations ?? {}, spec)
    if (found.length === 0) continue
    const wrong = found.map(({ reason }) => reason).join(', ')
    byWrong.set(wrong, [...(byWrong.get(wrong) ?? []), metadata.name])
  }
  const isPart = pods.length < all.length
  const checked = `new PodSecurity enforce level only checked against the first ${pods.length} of ${all.length} existing pods`
  const partly = isPart ? [checked] : []
  if (byWrong.size === 0) return partly
  const lines = [...byWrong].map(
    ([wrong, names]) => `${names.toSorted(compareText)[0]}${others(names.length)}: ${wrong}`,
  )
  const level = JSON.stringify(shown(bound))
  const head = `existing pods in namespace ${JSON.stringify(namespace)} violate the new PodSecurity enforce level ${level}`
  return [...partly, head, ...lines.toSorted(compareText)]
}

/** Pods of one controller are alike: the second of them and all further ones come behind those that may be different. */
function differentFirst(pods: readonly Pod[]): readonly Pod[] {
  const controllers = new Set<string>()
  const [first, alike]: [Pod[], Pod[]] = [[], []]
  for (const pod of pods) {
    const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid
    const list = owner !== undefined && controllers.has(owner) ? alike : first
    if (owner !== undefined) controllers.add(owner)
    list.push(pod)
  }
  return [...first, ...alike]
}

function others(count: number): string {
  if (count === 1) return ''
  return count === 2 ? ' (and 1 other pod)' : ` (and ${count - 1} other pods)`
}
