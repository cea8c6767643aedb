// The cluster as the scheduler sees it: per node what is there and what is taken, kept up to date change by change, so
// that a decision costs a look at each node and not at each pod. Pods whose binding is under way count as bound (assumed).
// Synchronous and without clock; owned and fed by run.ts.
import type { Namespace } from '../api/kinds/namespace.ts'
import type { Node } from '../api/kinds/node.ts'
import type { Pod } from '../api/kinds/pod.ts'
import type { Service } from '../api/kinds/service.ts'
import { controllerOf, isFinished } from '../client/objects.ts'
import { compareText } from '../lib/sorted.ts'
import { type Amounts, amounts, type HostPort, hostPortsOf, requestsOf, scoredCpu, scoredMemory } from './requests.ts'

/** A node, and the sum of its pods. */
export interface NodeInfo {
  readonly node: Node
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly allocatable: Amounts
  readonly pods: ReadonlyMap<string, Pod>
  readonly requested: Amounts
  /** With defaults for pods that ask for nothing: for scores only. */
  readonly scored: { readonly cpu: number; readonly memory: number }
  readonly hostPorts: readonly HostPort[]
  /** Pods that have any pod (anti-)affinity of their own. */
  readonly choosy: ReadonlyMap<string, Pod>
  /** How many pods of each controller. */
  readonly owners: ReadonlyMap<string, number>
  /** Image name to bytes. */
  readonly images: ReadonlyMap<string, number>
}

export interface ClusterView {
  /** In order of their names. */
  readonly nodes: readonly NodeInfo[]
  readonly namespaces: { labels(name: string): Readonly<Record<string, string>> }
  services(namespace: string): readonly Service[]
  /** How many nodes have the image. */
  imageNodes(image: string): number
  /** Pods that wait for room on this node that preemption makes for them. */
  nominated(node: string): readonly Pod[]
}

type Mutable = {
  node: Node
  name: string
  labels: Readonly<Record<string, string>>
  allocatable: Amounts
  pods: Map<string, Pod>
  requested: Map<string, number>
  scored: { cpu: number; memory: number }
  hostPorts: HostPort[]
  choosy: Map<string, Pod>
  owners: Map<string, number>
  images: Map<string, number>
}

export interface ClusterState extends ClusterView {
  setNode(node: Node): void
  removeNode(name: string): void
  /** A pod as the API has it. Without a node, an assumed one stays assumed. */
  setPod(pod: Pod): void
  removePod(uid: string): void
  /** Counts as bound from now on, until the API shows it, or `forget`. */
  assume(pod: Pod, node: string): void
  forget(uid: string): void
  nominate(pod: Pod, node: string | undefined): void
  setNamespace(name: string, namespace: Namespace | undefined): void
  setServices(list: (namespace: string) => readonly Service[]): void
}

export function isChoosy({ spec }: Pod): boolean {
  return spec.affinity?.podAffinity !== undefined || spec.affinity?.podAntiAffinity !== undefined
}

export function nodeInfo(node: Node, pods: Iterable<Pod> = []): NodeInfo {
  const info = empty(node)
  for (const pod of pods) put(info, pod, 1)
  return info
}

function empty(node: Node): Mutable {
  const info: Mutable = {
    node,
    name: node.metadata.name,
    labels: {},
    allocatable: new Map(),
    pods: new Map(),
    requested: new Map(),
    scored: { cpu: 0, memory: 0 },
    hostPorts: [],
    choosy: new Map(),
    owners: new Map(),
    images: new Map(),
  }
  setAttributes(info, node)
  return info
}

function setAttributes(info: Mutable, node: Node): void {
  info.node = node
  info.labels = node.metadata.labels ?? {}
  info.allocatable = amounts(node.status.allocatable ?? node.status.capacity)
  info.images = new Map(
    (node.status.images ?? []).flatMap(({ names, sizeBytes }) => (names ?? []).map(name => [name, sizeBytes ?? 0])),
  )
}

/** Adds (1) or takes away (-1) what a pod uses. */
function put(info: Mutable, pod: Pod, sign: 1 | -1): void {
  const { uid } = pod.metadata
  for (const [resource, amount] of requestsOf(pod)) {
    info.requested.set(resource, (info.requested.get(resource) ?? 0) + sign * amount)
  }
  info.scored.cpu += sign * scoredCpu(pod)
  info.scored.memory += sign * scoredMemory(pod)
  const owner = controllerOf(pod)?.uid
  if (owner !== undefined) {
    const count = (info.owners.get(owner) ?? 0) + sign
    if (count > 0) info.owners.set(owner, count)
    else info.owners.delete(owner)
  }
  if (sign === 1) {
    info.pods.set(uid, pod)
    if (isChoosy(pod)) info.choosy.set(uid, pod)
  } else {
    info.pods.delete(uid)
    info.choosy.delete(uid)
  }
  if (hostPortsOf(pod).length > 0) info.hostPorts = [...info.pods.values()].flatMap(hostPortsOf)
}

const nobody: readonly Pod[] = []

export function clusterState(): ClusterState {
  const infos = new Map<string, Mutable>()
  /** Where each counted pod is; nodes may come after their pods. */
  const places = new Map<string, { readonly node: string; readonly pod: Pod }>()
  const assumed = new Set<string>()
  const nominations = new Map<string, { readonly node: string; readonly pod: Pod }>()
  const namespaces = new Map<string, Readonly<Record<string, string>>>()
  const images = new Map<string, number>()
  let services: (namespace: string) => readonly Service[] = () => []
  let sorted: readonly NodeInfo[] | undefined

  function countImages(info: Mutable, sign: 1 | -1): void {
    for (const image of info.images.keys()) images.set(image, (images.get(image) ?? 0) + sign)
  }

  function place(pod: Pod, node: string): void {
    unplace(pod.metadata.uid)
    places.set(pod.metadata.uid, { node, pod })
    const info = infos.get(node)
    if (info) put(info, pod, 1)
  }

  function unplace(uid: string): void {
    const old = places.get(uid)
    if (old === undefined) return
    places.delete(uid)
    const info = infos.get(old.node)
    if (info) put(info, old.pod, -1)
  }

  return {
    get nodes() {
      sorted ??= [...infos.values()].sort((a, b) => compareText(a.name, b.name))
      return sorted
    },
    namespaces: { labels: name => namespaces.get(name) ?? {} },
    services: namespace => services(namespace),
    imageNodes: image => images.get(image) ?? 0,
    nominated(node) {
      // Asked for every node of every decision, and nearly always there is none.
      if (nominations.size === 0) return nobody
      return [...nominations.values()].filter(one => one.node === node).map(({ pod }) => pod)
    },
    setNode(node) {
      const { name } = node.metadata
      const known = infos.get(name)
      if (known) countImages(known, -1)
      const info = known ?? empty(node)
      if (known) setAttributes(known, node)
      else {
        infos.set(name, info)
        for (const { node: at, pod } of places.values()) if (at === name) put(info, pod, 1)
        sorted = undefined
      }
      countImages(info, 1)
    },
    removeNode(name) {
      const info = infos.get(name)
      if (info) countImages(info, -1)
      infos.delete(name)
      sorted = undefined
    },
    setPod(pod) {
      const { uid } = pod.metadata
      const { nodeName } = pod.spec
      if (!nodeName) {
        if (isFinished(pod)) unplace(uid)
        return
      }
      assumed.delete(uid)
      nominations.delete(uid)
      if (isFinished(pod)) unplace(uid)
      else place(pod, nodeName)
    },
    removePod(uid) {
      assumed.delete(uid)
      nominations.delete(uid)
      unplace(uid)
    },
    assume(pod, node) {
      assumed.add(pod.metadata.uid)
      nominations.delete(pod.metadata.uid)
      place({ ...pod, spec: { ...pod.spec, nodeName: node } }, node)
    },
    forget(uid) {
      if (!assumed.delete(uid)) return
      unplace(uid)
    },
    nominate(pod, node) {
      if (node === undefined) nominations.delete(pod.metadata.uid)
      else nominations.set(pod.metadata.uid, { node, pod })
    },
    setNamespace(name, namespace) {
      if (namespace === undefined) namespaces.delete(name)
      else namespaces.set(name, namespace.metadata.labels ?? {})
    },
    setServices(list) {
      services = list
    },
  }
}
