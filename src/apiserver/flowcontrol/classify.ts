// To which priority level and flow a request belongs: the first schema that fits, in the order of their precedence. Pure.
// https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#flowschema
import type {
  FlowSchema,
  FlowSubject,
  NonResourcePolicyRule,
  PolicyRulesWithSubjects,
  ResourcePolicyRule,
} from '../../api/kinds/flowschema.ts'
import { compareText } from '../../lib/sorted.ts'
import type { Identity } from '../../world/http.ts'
import { type Attributes, pathMatches, type ResourceAttributes } from '../rbac.ts'

export type Flow = {
  readonly schema: string
  readonly level: string
  /** Requests with the same one wait in one queue. */
  readonly key: string
}

type Schema = Pick<FlowSchema, 'spec'> & { readonly metadata: { readonly name: string } }

export function inOrder<T extends Schema>(schemas: Iterable<T>): readonly T[] {
  const precedence = ({ spec }: T) => spec.matchingPrecedence ?? 1_000
  return [...schemas].sort((a, b) => precedence(a) - precedence(b) || compareText(a.metadata.name, b.metadata.name))
}

/** `schemas` in order. What fits none belongs to the level catch-all. */
export function classify(schemas: readonly Schema[], who: Identity, asked: Attributes): Flow {
  const found = schemas.find(({ spec }) => (spec.rules ?? []).some(rule => fits(rule, who, asked)))
  const name = found?.metadata.name ?? 'catch-all'
  return {
    schema: name,
    level: found?.spec.priorityLevelConfiguration.name ?? 'catch-all',
    key: `${name}/${distinguisher(found?.spec.distinguisherMethod?.type, who, asked)}`,
  }
}

function distinguisher(by: string | undefined, who: Identity, asked: Attributes): string {
  if (by === 'ByUser') return who.user
  return by === 'ByNamespace' && asked.kind === 'resource' ? asked.namespace : ''
}

function fits(rule: PolicyRulesWithSubjects, who: Identity, asked: Attributes): boolean {
  if (!(rule.subjects ?? []).some(subject => isSubject(subject, who))) return false
  return asked.kind === 'path'
    ? (rule.nonResourceRules ?? []).some(each => fitsPath(each, asked.verb, asked.path))
    : (rule.resourceRules ?? []).some(each => fitsResource(each, asked))
}

function isSubject({ kind, user, group, serviceAccount }: FlowSubject, who: Identity): boolean {
  switch (kind) {
    case 'User':
      return user?.name === '*' || user?.name === who.user
    case 'Group':
      return group?.name === '*' || who.groups.some(name => name === group?.name)
    case 'ServiceAccount': {
      const prefix = `system:serviceaccount:${serviceAccount?.namespace ?? ''}:`
      return serviceAccount?.name === '*'
        ? who.user.startsWith(prefix)
        : who.user === `${prefix}${serviceAccount?.name ?? ''}`
    }
  }
}

const has = (list: readonly string[] | undefined, value: string): boolean =>
  (list ?? []).some(each => each === '*' || each === value)

function fitsResource(rule: ResourcePolicyRule, asked: ResourceAttributes): boolean {
  const { verb, group, resource, subresource, namespace } = asked
  const whole = subresource === '' ? resource : `${resource}/${subresource}`
  if (!has(rule.verbs, verb) || !has(rule.apiGroups, group) || !has(rule.resources, whole)) return false
  return namespace === '' ? rule.clusterScope === true : has(rule.namespaces, namespace)
}

function fitsPath(rule: NonResourcePolicyRule, verb: string, path: string): boolean {
  return has(rule.verbs, verb) && (rule.nonResourceURLs ?? []).some(url => pathMatches(url, path))
}
