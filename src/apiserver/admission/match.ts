// Which requests a webhook or a policy is asked about: by rules, by the labels of the object and by those of its namespace.
// Pure. After k8s.io/apiserver/pkg/admission/plugin/webhook/predicates.
import { type Kind, type KubeObject, resourceOf } from '../../api/kind.ts'
import { namespace as namespaceKind } from '../../api/kinds/namespace.ts'
import { admissionGroup, type NamedRule, type RuleWithOperations } from '../../api/types/admission.ts'
import type { LabelSelector } from '../../api/types/meta.ts'
import { selects } from '../../lib/selector.ts'
import type { Change } from './admission.ts'

/** Who guards admission itself could shut everybody out of it: of that nobody is asked. */
export function isExempt({ kind }: Change): boolean {
  return kind.group === admissionGroup
}

export function ruleMatches(rule: RuleWithOperations, change: Change, kind: Kind): boolean {
  const { operations = [], apiGroups = [], apiVersions = [], resources = [], scope } = rule
  const has = (list: readonly string[], value: string) => list.includes('*') || list.includes(value)
  return (
    scopeMatches(scope, change) &&
    has(operations, change.verb) &&
    has(apiGroups, kind.group) &&
    has(apiVersions, kind.version) &&
    resources.some(text => resourceMatches(text, kind.plural, change.subresource ?? ''))
  )
}

function scopeMatches(scope: string | undefined, { kind, namespace }: Change): boolean {
  // A namespace lies in none, though its requests name one.
  const isInNamespace = resourceOf(kind) !== resourceOf(namespaceKind) && (namespace ?? '') !== ''
  if (scope === 'Namespaced') return isInNamespace
  return scope === 'Cluster' ? !isInNamespace : true
}

function resourceMatches(text: string, resource: string, subresource: string): boolean {
  const [wanted = '', sub = ''] = text.split('/', 2)
  return (wanted === '*' || wanted === resource) && (sub === '*' || sub === subresource)
}

export function namedRuleMatches(rule: NamedRule, change: Change, kind: Kind): boolean {
  const { resourceNames = [] } = rule
  return ruleMatches(rule, change, kind) && (resourceNames.length === 0 || resourceNames.includes(change.name))
}

/**
 * The form in which whoever has these rules is shown the object: the one that was asked for where a rule names it, else,
 * with matchPolicy Equivalent, another of the same objects that the first of the rules names; undefined: they are not asked.
 */
export function matchedKind<Rule>(
  rules: readonly Rule[],
  matches: (rule: Rule, change: Change, kind: Kind) => boolean,
  change: Change,
  matchPolicy: string | undefined,
  equivalents: (kind: Kind) => readonly Kind[],
): Kind | undefined {
  const { kind } = change
  if (rules.some(rule => matches(rule, change, kind))) return kind
  if (matchPolicy === 'Exact') return undefined
  const others = equivalents(kind)
  for (const rule of rules) {
    const found = others.find(other => matches(rule, change, other))
    if (found !== undefined) return found
  }
  return undefined
}

const isEmpty = ({ matchLabels, matchExpressions }: LabelSelector): boolean =>
  Object.keys(matchLabels ?? {}).length === 0 && (matchExpressions ?? []).length === 0

/** Of an update it is enough that the old or the new object fits. */
export function objectMatches(selector: LabelSelector | undefined, { object, old }: Change): boolean {
  if (selector === undefined || isEmpty(selector)) return true
  const fits = (one: KubeObject | undefined) => one?.metadata !== undefined && selects(selector, one.metadata.labels)
  return fits(object) || fits(old)
}

/** Of what lies in no namespace every selector of namespaces holds. */
export function namespaceMatches(
  selector: LabelSelector | undefined,
  change: Change,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  if (selector === undefined || isEmpty(selector)) return true
  const { kind, object, verb, subresource } = change
  const isNamespace = resourceOf(kind) === resourceOf(namespaceKind)
  // What the namespace is to be counts, not what is stored of it.
  if (isNamespace && (verb === 'CREATE' || verb === 'UPDATE') && subresource === undefined) {
    return selects(selector, object?.metadata.labels)
  }
  if (!isNamespace && (change.namespace ?? '') === '') return true
  return selects(selector, labels)
}

/** The namespace whose labels a selector of namespaces looks at. */
export function namespaceOf({ kind, namespace, name }: Change): string {
  return resourceOf(kind) === resourceOf(namespaceKind) ? name : (namespace ?? '')
}
