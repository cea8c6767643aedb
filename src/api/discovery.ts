// What the API says of itself at /api, /apis, /apis/<group> and /apis/<group>/<version>, in the old form and in the
// aggregated one. Pure. Called by apiserver/paths.ts; the subresources are also what apiserver/ serves.
// https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
import { compareText } from '../lib/sorted.ts'
import { compareGroups, compareVersions, priorityOf } from './groups.ts'
import { type Kind, resourceOf, storedKindOf } from './kind.ts'
import type { JsonObject } from './schema.ts'

export type Subresource = {
  readonly name: string
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly verbs: readonly string[]
}

const read = ['get', 'patch', 'update']
const core = { group: '', version: 'v1' }

/** By resource: what kubectl looks for besides status and scale, which the kinds name themselves. */
const more: Readonly<Record<string, readonly Subresource[]>> = {
  pods: [
    { ...core, name: 'attach', kind: 'PodAttachOptions', verbs: ['create', 'get'] },
    { ...core, name: 'binding', kind: 'Binding', verbs: ['create'] },
    { ...core, name: 'ephemeralcontainers', kind: 'Pod', verbs: read },
    { name: 'eviction', group: 'policy', version: 'v1', kind: 'Eviction', verbs: ['create'] },
    { ...core, name: 'exec', kind: 'PodExecOptions', verbs: ['create', 'get'] },
    { ...core, name: 'log', kind: 'Pod', verbs: ['get'] },
    { ...core, name: 'portforward', kind: 'PodPortForwardOptions', verbs: ['create', 'get'] },
    {
      ...core,
      name: 'proxy',
      kind: 'PodProxyOptions',
      verbs: ['create', 'delete', 'get', 'patch', 'update'],
    },
    { ...core, name: 'resize', kind: 'Pod', verbs: read },
  ],
  nodes: [
    {
      ...core,
      name: 'proxy',
      kind: 'NodeProxyOptions',
      verbs: ['create', 'delete', 'get', 'patch', 'update'],
    },
  ],
  services: [
    {
      ...core,
      name: 'proxy',
      kind: 'ServiceProxyOptions',
      verbs: ['create', 'delete', 'get', 'patch', 'update'],
    },
  ],
  namespaces: [{ ...core, name: 'finalize', kind: 'Namespace', verbs: ['update'] }],
  serviceaccounts: [
    { name: 'token', group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest', verbs: ['create'] },
  ],
}

export function subresourcesOf(kind: Kind): readonly Subresource[] {
  const own = kind.subresources.map(name =>
    name === 'scale'
      ? { name, group: 'autoscaling', version: 'v1', kind: 'Scale', verbs: read }
      : { name, group: kind.group, version: kind.version, kind: kind.kind, verbs: read },
  )
  const others = (kind.group === '' ? (more[kind.plural] ?? []) : []).filter(o => !kind.subresources.includes(o.name))
  return [...own, ...others].sort((a, b) => compareText(a.name, b.name))
}

const storedVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']

export function verbsOf(kind: Kind): readonly string[] {
  if (kind.readOnly) return ['get', 'list']
  // Nobody deletes all namespaces at once.
  if (kind.group === '' && kind.plural === 'namespaces') return storedVerbs.filter(verb => verb !== 'deletecollection')
  return kind.stored ? storedVerbs : ['create']
}

/** Kinds that are only ever the body of a subresource have no path of their own. */
const bodyOnly = new Set(['scales.autoscaling', 'evictions.policy', 'tokenrequests.authentication.k8s.io'])

export function hasPath(kind: Kind): boolean {
  return !bodyOnly.has(resourceOf(kind))
}

export type GroupVersion = { readonly group: string; readonly version: string; readonly kinds: readonly Kind[] }

/** Every group and version that something is served in; the preferred version of a group comes first. */
export function groupVersions(kinds: readonly Kind[]): readonly GroupVersion[] {
  const found = new Map<string, Kind[]>()
  for (const kind of kinds) {
    if (!hasPath(kind)) continue
    const key = `${kind.group}/${kind.version}`
    const others = found.get(key)
    if (others) others.push(kind)
    else found.set(key, [kind])
  }
  return [...found]
    .map(([key, list]) => ({
      group: key.slice(0, key.lastIndexOf('/')),
      version: key.slice(key.lastIndexOf('/') + 1),
      kinds: [...list].sort((a, b) => compareText(a.plural, b.plural)),
    }))
    .sort(
      (a, b) =>
        compareGroups(a.group, b.group, group => priorityOf(group, '').group) ||
        compareVersions(a.version, b.version, version => priorityOf(a.group, version).version),
    )
}

/** GET /api. */
export function apiVersions(): JsonObject {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [],
  }
}

function groupOf(group: string, versions: readonly GroupVersion[]): JsonObject {
  const named = versions.map(({ version }) => ({ groupVersion: `${group}/${version}`, version }))
  return { name: group, versions: named, preferredVersion: named[0] ?? {} }
}

/** GET /apis. */
export function apiGroupList(kinds: readonly Kind[]): JsonObject {
  const all = groupVersions(kinds).filter(({ group }) => group !== '')
  const names = [...new Set(all.map(({ group }) => group))]
  return {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: names.map(name =>
      groupOf(
        name,
        all.filter(({ group }) => group === name),
      ),
    ),
  }
}

/** GET /apis/<group>; undefined when there is no such group. */
export function apiGroup(kinds: readonly Kind[], name: string): JsonObject | undefined {
  const versions = groupVersions(kinds).filter(({ group }) => group === name && group !== '')
  if (versions.length === 0) return undefined
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(name, versions) }
}

/** GET /api/v1 and /apis/<group>/<version>; undefined when there is no such version. */
export function apiResourceList(kinds: readonly Kind[], group: string, version: string): JsonObject | undefined {
  const found = groupVersions(kinds).find(each => each.group === group && each.version === version)
  if (found === undefined) return undefined
  const resources = found.kinds.flatMap(kind => [
    {
      name: kind.plural,
      singularName: kind.singular,
      namespaced: kind.scope === 'Namespaced',
      kind: kind.kind,
      verbs: verbsOf(kind),
      ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
      ...(kind.categories.length > 0 && { categories: kind.categories }),
      ...(kind.stored && { storageVersionHash: storageHash(storedKindOf(kind)) }),
    },
    ...subresourcesOf(kind).map(sub => ({
      name: `${kind.plural}/${sub.name}`,
      singularName: '',
      namespaced: kind.scope === 'Namespaced',
      ...((sub.group !== group || sub.version !== version) && { group: sub.group, version: sub.version }),
      kind: sub.kind,
      verbs: sub.verbs,
    })),
  ])
  const groupVersion = group === '' ? version : `${group}/${version}`
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources }
}

/** A stable name for the form in which a kind is stored: only equality of it means something. */
function storageHash(kind: Kind): string {
  let hash = 0x811c9dc5
  for (const char of `${kind.group}/${kind.version}/${kind.kind}`) {
    hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0
  }
  return hash.toString(16).padStart(8, '0')
}

/** GET /api and /apis as APIGroupDiscoveryList. */
export function aggregatedDiscovery(kinds: readonly Kind[], legacy: boolean, version: 'v2' | 'v2beta1'): JsonObject {
  const all = groupVersions(kinds).filter(({ group }) => (group === '') === legacy)
  const names = [...new Set(all.map(({ group }) => group))]
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: names.map(name => ({
      metadata: name === '' ? { creationTimestamp: null } : { name, creationTimestamp: null },
      versions: all
        .filter(({ group }) => group === name)
        .map(each => ({ version: each.version, freshness: 'Current', resources: each.kinds.map(discovered) })),
    })),
  }
}

function discovered(kind: Kind): JsonObject {
  const subresources = subresourcesOf(kind)
  return {
    resource: kind.plural,
    responseKind: { group: kind.group, version: kind.version, kind: kind.kind },
    scope: kind.scope === 'Namespaced' ? 'Namespaced' : 'Cluster',
    singularResource: kind.singular,
    verbs: verbsOf(kind),
    ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
    ...(kind.categories.length > 0 && { categories: kind.categories }),
    ...(subresources.length > 0 && {
      subresources: subresources.map(sub => ({
        subresource: sub.name,
        responseKind: { group: sub.group, version: sub.version, kind: sub.kind },
        verbs: sub.verbs,
      })),
    }),
  }
}
