// What stands on a container so that a restarted agent can adopt it: all that `observe` gives back and that the runtime
// itself does not know. Docker keeps it as labels, the other runtimes as a JSON file. Pure.
import type { ContainerSpec, SandboxSpec } from '../../world/runtime.ts'

export type Labels = Readonly<Record<string, string>>

/** On everything of ours; its value says whose (cluster and node), so that two agents can share one daemon. */
export const ownerLabel = 'dev.flotilla.owner'
/** The names that log shippers and cAdvisor know from Kubernetes. */
const uidLabel = 'io.kubernetes.pod.uid'
const namespaceLabel = 'io.kubernetes.pod.namespace'
const podLabel = 'io.kubernetes.pod.name'
const containerLabel = 'io.kubernetes.container.name'
const typeLabel = 'dev.flotilla.type'
const kindLabel = 'dev.flotilla.kind'
const attemptLabel = 'dev.flotilla.attempt'
const hashLabel = 'dev.flotilla.spec-hash'
const annotationsLabel = 'dev.flotilla.annotations'
const ipLabel = 'dev.flotilla.ip'
const sharePidLabel = 'dev.flotilla.share-pid'
const sandboxLabel = 'dev.flotilla.sandbox'
const cgroupLabel = 'dev.flotilla.cgroup'
const imageLabel = 'dev.flotilla.image'

export { uidLabel }

type Common = {
  readonly uid: string
  readonly namespace: string
  readonly pod: string
  readonly attempt: number
  readonly cgroupParent: string
  readonly annotations: Readonly<Record<string, string>>
}
export type Identity =
  | (Common & { readonly type: 'sandbox'; readonly ip?: string; readonly sharePid: boolean })
  | (Common & {
      readonly type: 'container'
      readonly name: string
      readonly kind: ContainerSpec['kind']
      readonly specHash: string
      /** As the pod spec names it. */
      readonly image: string
      /** The sandbox that it was made for. */
      readonly sandboxId: string
    })

export function sandboxLabels(owner: string, spec: SandboxSpec): Labels {
  return {
    [ownerLabel]: owner,
    [typeLabel]: 'sandbox',
    [uidLabel]: spec.uid,
    [namespaceLabel]: spec.namespace,
    [podLabel]: spec.name,
    [attemptLabel]: String(spec.attempt),
    [cgroupLabel]: spec.cgroupParent,
    [sharePidLabel]: String(spec.sharePid),
    [annotationsLabel]: JSON.stringify(spec.annotations),
    ...(spec.ip === undefined ? {} : { [ipLabel]: spec.ip }),
  }
}

export function containerLabels(owner: string, spec: ContainerSpec, sandboxId: string): Labels {
  return {
    [ownerLabel]: owner,
    [typeLabel]: 'container',
    [uidLabel]: spec.uid,
    [namespaceLabel]: spec.namespace,
    [podLabel]: spec.pod,
    [containerLabel]: spec.name,
    [kindLabel]: spec.kind,
    [attemptLabel]: String(spec.attempt),
    [hashLabel]: spec.specHash,
    [imageLabel]: spec.image,
    [cgroupLabel]: spec.cgroupParent,
    [sandboxLabel]: sandboxId,
    [annotationsLabel]: JSON.stringify(spec.annotations),
  }
}

/** The inverse of both; undefined when the labels are not ours or were damaged by somebody. */
export function identityOf(labels: Labels): Identity | undefined {
  const uid = labels[uidLabel]
  const namespace = labels[namespaceLabel]
  const pod = labels[podLabel]
  const attempt = Number(labels[attemptLabel] ?? 'none')
  const annotations = textMap(labels[annotationsLabel])
  if (uid === undefined || uid === '' || namespace === undefined || pod === undefined) return undefined
  if (!Number.isSafeInteger(attempt) || annotations === undefined) return undefined
  const common = { uid, namespace, pod, attempt, annotations, cgroupParent: labels[cgroupLabel] ?? '' }
  if (labels[typeLabel] === 'sandbox') {
    const ip = labels[ipLabel]
    return {
      type: 'sandbox',
      ...common,
      sharePid: labels[sharePidLabel] === 'true',
      ...(ip === undefined ? {} : { ip }),
    }
  }
  const name = labels[containerLabel]
  const kind = labels[kindLabel]
  if (labels[typeLabel] !== 'container' || name === undefined) return undefined
  if (kind !== 'init' && kind !== 'app' && kind !== 'ephemeral') return undefined
  return {
    type: 'container',
    ...common,
    name,
    kind,
    specHash: labels[hashLabel] ?? '',
    image: labels[imageLabel] ?? '',
    sandboxId: labels[sandboxLabel] ?? '',
  }
}

function textMap(json: string | undefined): Readonly<Record<string, string>> | undefined {
  if (json === undefined) return undefined
  try {
    const value: unknown = JSON.parse(json)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    return Object.values(value).every(item => typeof item === 'string') ? (value as Record<string, string>) : undefined
  } catch {
    return undefined
  }
}
