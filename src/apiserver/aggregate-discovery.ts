// Discovery and OpenAPI of all servers as one: what this one says of itself, and what the others said when they were last asked.
// Pure. https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
import { compareGroups, compareVersions, type Priority, priorityOf } from '../api/groups.ts'
import type { Json, JsonObject } from '../api/schema.ts'

/** What another server answers for, as far as it is known. */
export type Remote = {
  readonly group: string
  readonly version: string
  readonly priority: Priority
  /** The resources of its APIResourceList; undefined: it never said. */
  readonly resources: readonly JsonObject[] | undefined
  /** Whether it said so when it was last asked. */
  readonly current: boolean
}

type Named = {
  readonly name: string
  readonly versions: readonly { readonly version: string; readonly value: JsonObject }[]
}

/** Groups with their versions in order: the others' take the place of ours of the same name. */
function merge(
  own: readonly Named[],
  remotes: readonly Remote[],
  shapeOf: (remote: Remote) => JsonObject,
): readonly Named[] {
  const claimed = new Map(remotes.map(remote => [`${remote.group}/${remote.version}`, remote]))
  const all = new Map<string, Map<string, JsonObject>>()
  for (const { name, versions } of own) all.set(name, new Map(versions.map(({ version, value }) => [version, value])))
  for (const remote of remotes) {
    const versions = all.get(remote.group) ?? new Map<string, JsonObject>()
    versions.set(remote.version, shapeOf(remote))
    all.set(remote.group, versions)
  }
  const priority = (group: string, version: string) =>
    claimed.get(`${group}/${version}`)?.priority ?? priorityOf(group, version)
  const most = (group: string) =>
    Math.max(...[...(all.get(group)?.keys() ?? [])].map(version => priority(group, version).group))
  return [...all.keys()]
    .toSorted((a, b) => compareGroups(a, b, most))
    .map(name => ({
      name,
      versions: [...(all.get(name) ?? [])]
        .map(([version, value]) => ({ version, value }))
        .toSorted((a, b) => compareVersions(a.version, b.version, version => priority(name, version).version)),
    }))
}

function listed(value: Json | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? (value as readonly JsonObject[]) : []
}

function versionsOf(group: JsonObject): Named['versions'] {
  return listed(group['versions']).map(value => ({ version: String(value['version']), value }))
}

function groupOf({ name, versions }: Named): JsonObject {
  const all = versions.map(({ value }) => value)
  return { name, versions: all, preferredVersion: all[0] ?? {} }
}

const plainVersion = ({ group, version }: Remote): JsonObject => ({ groupVersion: `${group}/${version}`, version })

/** The APIGroupList of /apis. */
export function mergedGroupList(own: JsonObject, remotes: readonly Remote[]): JsonObject {
  const groups = listed(own['groups']).map(group => ({ name: String(group['name']), versions: versionsOf(group) }))
  return { ...own, groups: merge(groups, remotes, plainVersion).map(groupOf) }
}

/** The APIGroup of /apis/<group>; `own` is undefined where this server has no such group. */
export function mergedGroup(
  own: JsonObject | undefined,
  name: string,
  remotes: readonly Remote[],
): JsonObject | undefined {
  const mine = own === undefined ? [] : [{ name, versions: versionsOf(own) }]
  const [group] = merge(
    mine,
    remotes.filter(remote => remote.group === name),
    plainVersion,
  )
  return group && { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(group) }
}

/** The APIGroupDiscoveryList of /apis. */
export function mergedAggregated(own: JsonObject, remotes: readonly Remote[]): JsonObject {
  const groups = listed(own['items']).map(item => ({
    name: String((item['metadata'] as JsonObject)['name']),
    versions: versionsOf(item),
  }))
  const items = merge(groups, remotes, aggregatedVersion).map(({ name, versions }) => ({
    metadata: { name, creationTimestamp: null },
    versions: versions.map(({ value }) => value),
  }))
  return { ...own, items }
}

/** From the old form of a version's resources to the aggregated one. */
function aggregatedVersion(remote: Remote): JsonObject {
  const { version, resources = [], current } = remote
  const ofOwn = (name: Json | undefined) => typeof name === 'string' && !name.includes('/')
  return {
    version,
    freshness: current ? 'Current' : 'Stale',
    resources: resources
      .filter(({ name }) => ofOwn(name))
      .map(resource => {
        const name = String(resource['name'])
        const subresources = resources.filter(other => String(other['name']).startsWith(`${name}/`))
        return {
          resource: name,
          responseKind: kindOf(remote, resource),
          scope: resource['namespaced'] === true ? 'Namespaced' : 'Cluster',
          singularResource: resource['singularName'] ?? '',
          verbs: resource['verbs'] ?? [],
          ...(resource['shortNames'] !== undefined && { shortNames: resource['shortNames'] }),
          ...(resource['categories'] !== undefined && { categories: resource['categories'] }),
          ...(subresources.length > 0 && {
            subresources: subresources.map(sub => ({
              subresource: String(sub['name']).slice(name.length + 1),
              responseKind: kindOf(remote, sub),
              verbs: sub['verbs'] ?? [],
            })),
          }),
        }
      }),
  }
}

function kindOf({ group, version }: Remote, resource: JsonObject): JsonObject {
  return { group: resource['group'] ?? group, version: resource['version'] ?? version, kind: resource['kind'] ?? '' }
}
