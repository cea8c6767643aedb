// matchLabelKeys and mismatchLabelKeys: labels whose values other pods share, or do not share, with the pod itself. In terms
// of affinity they become a part of the selector when the pod is made, so that whoever reads the pod sees whom it means.
// Upstream: pkg/registry/core/pod/strategy.go, applyMatchLabelKeysAndMismatchLabelKeys; their rules in pkg/apis/core/validation.
import { forbidden, invalidValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import type { Pod } from '../kinds/pod.ts'
import { qualifiedName } from '../names.ts'
import type { PodAffinity, PodAffinityTerm, TopologySpreadConstraint } from '../types/affinity.ts'
import type { LabelSelector } from '../types/meta.ts'

/** Of a pod that is made. What is there already is not said twice. */
export function withLabelKeys(pod: Pod): Pod {
  const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {}
  const terms = [podAffinity, podAntiAffinity].flatMap(one => (one ? termsOf(one) : []))
  if (!terms.some(term => (term?.matchLabelKeys ?? []).length + (term?.mismatchLabelKeys ?? []).length > 0)) return pod
  const labels = pod.metadata.labels ?? {}
  const affinity = {
    ...pod.spec.affinity,
    ...(podAffinity && { podAffinity: extended(podAffinity, labels) }),
    ...(podAntiAffinity && { podAntiAffinity: extended(podAntiAffinity, labels) }),
  }
  return { ...pod, spec: { ...pod.spec, affinity } }
}

const required = 'requiredDuringSchedulingIgnoredDuringExecution'
const preferred = 'preferredDuringSchedulingIgnoredDuringExecution'

function termsOf(affinity: PodAffinity): readonly (PodAffinityTerm | undefined)[] {
  return [...(affinity[required] ?? []), ...(affinity[preferred] ?? []).map(({ podAffinityTerm }) => podAffinityTerm)]
}

type Labels = Readonly<Record<string, string>>

function extended(affinity: PodAffinity, labels: Labels): PodAffinity {
  const { [required]: hard, [preferred]: soft } = affinity
  return {
    ...affinity,
    ...(hard && { [required]: hard.map(term => extendedTerm(term, labels)) }),
    ...(soft && {
      [preferred]: soft.map(one =>
        one.podAffinityTerm ? { ...one, podAffinityTerm: extendedTerm(one.podAffinityTerm, labels) } : one,
      ),
    }),
  }
}

/** No selector means nobody, whatever the keys are. */
function extendedTerm(term: PodAffinityTerm, labels: Labels): PodAffinityTerm {
  const { labelSelector, matchLabelKeys = [], mismatchLabelKeys = [] } = term
  if (labelSelector === undefined) return term
  const known = labelSelector.matchExpressions ?? []
  const textOf = ({ key, operator, values = [] }: (typeof known)[number]) => JSON.stringify([key, operator, values])
  const texts = new Set(known.map(textOf))
  const of = (keys: readonly string[], operator: 'In' | 'NotIn') =>
    keys
      .filter(key => Object.hasOwn(labels, key))
      .map(key => ({ key, operator, values: [labels[key] ?? ''] }))
      .filter(one => !texts.has(textOf(one)))
  const more = [...of(matchLabelKeys, 'In'), ...of(mismatchLabelKeys, 'NotIn')]
  if (more.length === 0) return term
  return { ...term, labelSelector: { ...labelSelector, matchExpressions: [...known, ...more] } }
}

const inBoth = 'exists in both matchLabelKeys and labelSelector'

/** Of a term of affinity, whose selector has the keys in it already: a key that stands there twice was there before. */
export function validateLabelKeys(term: PodAffinityTerm, path: string): readonly FieldError[] {
  const { labelSelector, matchLabelKeys = [], mismatchLabelKeys = [] } = term
  const errors = [
    ...validateNames(matchLabelKeys, labelSelector, `${path}.matchLabelKeys`),
    ...validateNames(mismatchLabelKeys, labelSelector, `${path}.mismatchLabelKeys`),
  ]
  const seen = new Set(Object.keys(labelSelector?.matchLabels ?? {}))
  const places = new Map(matchLabelKeys.map((key, i) => [key, i]))
  for (const { key } of labelSelector?.matchExpressions ?? []) {
    const i = places.get(key)
    if (i !== undefined && seen.has(key)) errors.push(invalidValue(`${path}[${i}]`, key, inBoth))
    seen.add(key)
  }
  const others = new Set(mismatchLabelKeys)
  for (const [i, key] of matchLabelKeys.entries()) {
    if (!others.has(key)) continue
    errors.push(
      invalidValue(`${path}.matchLabelKeys[${i}]`, key, 'exists in both matchLabelKeys and mismatchLabelKeys'),
    )
  }
  return errors
}

function validateNames(keys: readonly string[], selector: LabelSelector | undefined, path: string): FieldError[] {
  if (keys.length === 0) return []
  if (selector === undefined) return [forbidden(path, 'must not be specified when labelSelector is not set')]
  return keys.flatMap((key, i) => {
    const wrong = qualifiedName(key)
    return wrong === undefined ? [] : [invalidValue(`${path}[${i}]`, key, wrong)]
  })
}

/** Of a constraint, whose selector never says the same. */
export function validateSpreadKeys(constraint: TopologySpreadConstraint, path: string): readonly FieldError[] {
  const { labelSelector, matchLabelKeys = [] } = constraint
  const { matchLabels = {}, matchExpressions = [] } = labelSelector ?? {}
  const selected = new Set([...Object.keys(matchLabels), ...matchExpressions.map(({ key }) => key)])
  const at = `${path}.matchLabelKeys`
  return [
    ...(labelSelector === undefined && matchLabelKeys.length > 0
      ? [forbidden(at, 'must not be specified when labelSelector is not set')]
      : []),
    ...matchLabelKeys.flatMap((key, i) => {
      const wrong = qualifiedName(key)
      return [
        ...(wrong === undefined ? [] : [invalidValue(`${at}[${i}]`, key, wrong)]),
        ...(selected.has(key) ? [invalidValue(`${at}[${i}]`, key, inBoth)] : []),
      ]
    }),
  ]
}
