// Pods and what a runtime shows of them, in few words: for golden and table tests.
import { admit } from '../../src/api/admit.ts'
import { type Pod, pod as podKind } from '../../src/api/kinds/pod.ts'
import { parseObject } from '../../src/api/parse.ts'
import type { Json } from '../../src/api/schema.ts'
import type { References } from '../../src/kubelet/env.ts'
import { containerHash } from '../../src/kubelet/hash.ts'
import { backoffAnnotation, sandboxAnnotation } from '../../src/kubelet/history.ts'
import { containersOf } from '../../src/kubelet/plan.ts'
import type { NodeFacts } from '../../src/kubelet/spec.ts'
import type { Observed, ObservedContainer } from '../../src/world/runtime.ts'

export const nowMs = Date.parse('2026-01-01T01:00:00Z')
export const uid = '00000000-0000-4000-8000-000000000001'

export type PodText = {
  readonly metadata?: object
  readonly spec: {
    readonly ephemeralContainers?: Pod['spec']['ephemeralContainers']
    readonly [field: string]: unknown
  }
  readonly status?: object
}

/** As the API would hold it, defaults and all, named web. */
export function podOf({ metadata, spec: { ephemeralContainers, ...spec }, status }: PodText): Pod {
  const draft = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default' },
    spec: { nodeName: 'one', ...spec },
  }
  const incoming = parseObject(podKind, draft as Json, 'Strict').object
  const stamp = { uid, nowMs: nowMs - 3_600_000, suffix: 'abcde' }
  const made = admit(podKind, 'create', { old: undefined, incoming, stamp, namespace: 'default' })
  // These come later than the pod, by their own door.
  const whole = { ...made.spec, ...(ephemeralContainers && { ephemeralContainers }) }
  return {
    ...made,
    metadata: { ...made.metadata, ...metadata },
    spec: whole as Pod['spec'],
    status: { ...made.status, ...status },
  }
}

export type ObservedText = {
  readonly sandbox?: { readonly id?: string; readonly running?: boolean; readonly ip?: string }
  readonly containers?: readonly {
    readonly name: string
    readonly attempt?: number
    readonly state: 'created' | 'running' | number
    /** Seconds before now. */
    readonly started?: number
    readonly finished?: number
    readonly backoff?: number
    readonly sandbox?: string
    readonly image?: string
  }[]
}

export function observedOf(pod: Pod, text: ObservedText | undefined): Observed | undefined {
  if (text === undefined) return undefined
  const { sandbox, containers = [] } = text
  return {
    uid,
    namespace: 'default',
    name: 'web',
    ...(sandbox && {
      sandbox: {
        id: sandbox.id ?? 's0',
        attempt: 0,
        running: sandbox.running ?? true,
        createdMs: nowMs - 60_000,
        ip: sandbox.ip ?? '10.42.0.5',
        annotations: {},
      },
    }),
    containers: containers.map((one): ObservedContainer => {
      const { name, attempt = 0, state, started = 60, finished = 30, backoff } = one
      const spec = containersOf(pod).find(container => container.name === name)
      const startedMs = nowMs - started * 1_000
      return {
        id: `${name}-${attempt}`,
        statusId: `test://${name}-${attempt}`,
        name,
        kind: 'app',
        attempt,
        specHash: spec === undefined ? '' : containerHash({ ...spec, ...(one.image && { image: one.image }) }),
        image: one.image ?? spec?.image ?? '',
        imageId: 'sha256:1',
        annotations: {
          [sandboxAnnotation]: one.sandbox ?? 's0',
          ...(backoff !== undefined && { [backoffAnnotation]: String(backoff * 1_000) }),
        },
        createdMs: startedMs,
        state:
          state === 'created'
            ? { kind: 'created' }
            : state === 'running'
              ? { kind: 'running', startedMs, pid: 1 }
              : { kind: 'exited', startedMs, finishedMs: nowMs - finished * 1_000, exitCode: state, oomKilled: false },
      }
    }),
  }
}

export const node: NodeFacts = {
  name: 'one',
  ip: '192.168.1.10',
  clusterDns: '169.254.20.10',
  clusterDomain: 'cluster.local',
  hostDns: { servers: ['192.168.1.1'], searches: ['home.arpa'], options: ['edns0'] },
  cgroupRoot: '/flotilla',
  memoryBytes: 4 * 2 ** 30,
}

export function references(more: Partial<References> = {}): References {
  return {
    configMap: () => undefined,
    secret: () => undefined,
    services: [],
    apiService: undefined,
    nodeName: 'one',
    nodeIp: '192.168.1.10',
    podIp: '10.42.0.5',
    allocatable: { cpuMilli: 4_000, memoryBytes: 2 ** 30, pods: 110 } as References['allocatable'],
    decode: base64 => Buffer.from(base64, 'base64').toString('utf8'),
    ...more,
  }
}
