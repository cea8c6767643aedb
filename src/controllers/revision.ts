// Revisions of a Deployment: which ReplicaSet is of the present template, how revisions are numbered and kept, and the
// annotations that `kubectl rollout` reads. Pure. After kubernetes pkg/controller/deployment/util/deployment_util.go.
import type { Deployment } from '../api/kinds/deployment.ts'
import type { ReplicaSet } from '../api/kinds/replicaset.ts'
import type { PodTemplateSpec } from '../api/types/podspec.ts'
import { createdMs } from '../client/objects.ts'
import { canonicalJson, fnv32a } from '../lib/canonical.ts'
import { compareText } from '../lib/sorted.ts'

export const hashLabel = 'pod-template-hash'
export const revisionAnnotation = 'deployment.kubernetes.io/revision'
export const historyAnnotation = 'deployment.kubernetes.io/revision-history'
export const desiredAnnotation = 'deployment.kubernetes.io/desired-replicas'
export const maxAnnotation = 'deployment.kubernetes.io/max-replicas'

/** Belong to the object that carries them; never copied from a Deployment to its sets. */
const ownAnnotations: ReadonlySet<string> = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  historyAnnotation,
  desiredAnnotation,
  maxAnnotation,
  'deprecated.deployment.rollback.to',
])
const historyLengthMax = 2_000

// Without vowels and look-alikes, so that no hash spells a word.
const safeAlphabet = 'bcdfghjklmnpqrstvwxz2456789'

export function safeText(text: string): string {
  return [...text].map(char => safeAlphabet[char.charCodeAt(0) % safeAlphabet.length] ?? '').join('')
}

/** A different `collisionCount` gives a different name for the same template. */
export function templateHash(template: PodTemplateSpec, collisionCount: number | undefined): string {
  const text = canonicalJson(withoutHash(template)) + (collisionCount ? `#${collisionCount}` : '')
  return safeText(String(fnv32a(text)))
}

function withoutHash(template: PodTemplateSpec): PodTemplateSpec {
  const { [hashLabel]: _, ...labels } = template.metadata?.labels ?? {}
  return { ...template, metadata: { ...template.metadata, labels } }
}

// A template stays the same object for as long as its owner is unchanged in the view: spell it once.
const spelled = new WeakMap<object, string>()

function templateText(template: PodTemplateSpec): string {
  const known = spelled.get(template)
  if (known !== undefined) return known
  const text = canonicalJson(withoutHash(template))
  spelled.set(template, text)
  return text
}

export function sameTemplate(a: PodTemplateSpec | undefined, b: PodTemplateSpec): boolean {
  return a !== undefined && templateText(a) === templateText(b)
}

export function byCreation(a: ReplicaSet, b: ReplicaSet): number {
  return createdMs(a) - createdMs(b) || compareText(a.metadata.name, b.metadata.name)
}

/** The oldest set of the present template: a stale view may have made two. */
export function newSetOf(deployment: Deployment, sets: readonly ReplicaSet[]): ReplicaSet | undefined {
  return sets.toSorted(byCreation).find(set => sameTemplate(set.spec.template, deployment.spec.template))
}

export function revisionOf(object: { readonly metadata: ReplicaSet['metadata'] }): number {
  const text = object.metadata.annotations?.[revisionAnnotation] ?? ''
  return /^\d+$/.test(text) ? Number(text) : 0
}

/** What the new set should carry: the Deployment's annotations and the next revision, remembering the one it had. */
export function newSetAnnotations(
  deployment: Deployment,
  known: Readonly<Record<string, string>>,
  revision: number,
): Readonly<Record<string, string>> {
  const copied = Object.entries(deployment.metadata.annotations ?? {}).filter(([key]) => !ownAnnotations.has(key))
  const next = { ...known, ...Object.fromEntries(copied) }
  const before = known[revisionAnnotation]
  if (before !== undefined && Number(before) >= revision) return next
  next[revisionAnnotation] = String(revision)
  if (before !== undefined && before !== '') next[historyAnnotation] = longerHistory(known[historyAnnotation], before)
  return next
}

function longerHistory(history: string | undefined, revision: string): string {
  const parts = [...(history ? history.split(',') : []), revision]
  while (parts.join(',').length > historyLengthMax && parts.length > 1) parts.shift()
  return parts.join(',')
}
