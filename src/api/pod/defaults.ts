// The defaults of pods and pod templates that depend on other fields (upstream: pkg/apis/core/v1/defaults.go). What holds
// for pods alone, and not for the templates of controllers, stands at the end. Called by api/kinds/*.ts.
import { KeptDerivation } from '../../lib/kept.ts'
import { formatQuantity, parseQuantity } from '../../lib/quantity.ts'
import { claimDefaults } from '../claims.ts'
import type { Pod } from '../kinds/pod.ts'
import type { Container, EphemeralContainer } from '../types/container.ts'
import type { PodSpec, PodTemplateSpec } from '../types/podspec.ts'
import type { Probe } from '../types/probe.ts'
import type { Volume } from '../types/volume.ts'
import { qualityOf } from './quality.ts'
import { withAddresses } from './status.ts'

export function templateDefaults(template: PodTemplateSpec): PodTemplateSpec {
  return template.spec === undefined ? template : { ...template, spec: podSpecDefaults(template.spec) }
}

export function podSpecDefaults(spec: PodSpec): PodSpec {
  const account = spec.serviceAccountName || spec.serviceAccount
  return {
    ...spec,
    // serviceAccount is the old name of serviceAccountName; both are always shown.
    ...(account && { serviceAccountName: account, serviceAccount: account }),
    ...(spec.containers && { containers: spec.containers.map(containerDefaults) }),
    ...(spec.initContainers && { initContainers: spec.initContainers.map(containerDefaults) }),
    ...(spec.ephemeralContainers && { ephemeralContainers: spec.ephemeralContainers.map(containerDefaults) }),
    ...(spec.volumes && { volumes: spec.volumes.map(volumeDefaults) }),
  }
}

function containerDefaults<C extends Container | EphemeralContainer>(container: C): C {
  const { livenessProbe, readinessProbe, startupProbe } = container
  return {
    ...container,
    imagePullPolicy: container.imagePullPolicy ?? pullPolicyOf(container.image ?? ''),
    ...(container.resources && { resources: resourcesDefaults(container.resources) }),
    ...(livenessProbe && { livenessProbe: probeDefaults(livenessProbe) }),
    ...(readinessProbe && { readinessProbe: probeDefaults(readinessProbe) }),
    ...(startupProbe && { startupProbe: probeDefaults(startupProbe) }),
  }
}

type Resources = NonNullable<Container['resources']>

function resourcesDefaults(resources: Resources): Resources {
  const { limits, requests } = resources
  if (!isFine(limits) && !isFine(requests)) return resources
  return { ...resources, ...(limits && { limits: toMilli(limits) }), ...(requests && { requests: toMilli(requests) }) }
}

/** In canonical form what is finer than a thousandth ends in u or n. */
function isFine(amounts: Resources['limits']): boolean {
  return Object.values(amounts ?? {}).some(amount => /[un]$/.test(amount))
}

const nanoPerMilli = 1_000_000n

/** Nothing finer than a thousandth is counted: it is rounded up. */
function toMilli(amounts: NonNullable<Resources['limits']>): NonNullable<Resources['limits']> {
  return Object.fromEntries(
    Object.entries(amounts).map(([name, text]) => {
      const amount = parseQuantity(text)
      if (amount === undefined) return [name, text]
      const rest = amount.nano % nanoPerMilli
      const up = rest > 0n ? amount.nano + nanoPerMilli - rest : amount.nano - rest
      return [name, formatQuantity({ ...amount, nano: up })]
    }),
  )
}

/** A tag that moves is pulled each time. */
function pullPolicyOf(image: string): 'Always' | 'IfNotPresent' {
  const [name = '', digest] = image.split('@')
  const tag = /:([^:/]+)$/.exec(name)?.[1]
  return (tag === undefined && digest === undefined) || tag === 'latest' ? 'Always' : 'IfNotPresent'
}

/** Zero is how Go says absent here. */
function probeDefaults(probe: Probe): Probe {
  return {
    ...probe,
    timeoutSeconds: probe.timeoutSeconds || 1,
    periodSeconds: probe.periodSeconds || 10,
    successThreshold: probe.successThreshold || 1,
    failureThreshold: probe.failureThreshold || 3,
  }
}

function volumeDefaults(volume: Volume): Volume {
  const { name: _, ...source } = volume
  if (Object.keys(source).length === 0) return { ...volume, emptyDir: {} }
  const { iscsi, rbd, azureDisk, ephemeral, image } = volume
  if (iscsi) return { ...volume, iscsi: { ...iscsi, iscsiInterface: iscsi.iscsiInterface || 'default' } }
  if (rbd) {
    const { pool, user, keyring } = rbd
    return {
      ...volume,
      rbd: { ...rbd, pool: pool || 'rbd', user: user || 'admin', keyring: keyring || '/etc/ceph/keyring' },
    }
  }
  if (azureDisk) {
    const { cachingMode = 'ReadWrite', kind = 'Shared', fsType = 'ext4', readOnly = false } = azureDisk
    return { ...volume, azureDisk: { ...azureDisk, cachingMode, kind, fsType, readOnly } }
  }
  const template = ephemeral?.volumeClaimTemplate
  if (template?.spec) {
    return { ...volume, ephemeral: { volumeClaimTemplate: { ...template, spec: claimDefaults(template.spec) } } }
  }
  if (image) {
    return { ...volume, image: { ...image, pullPolicy: image.pullPolicy ?? pullPolicyOf(image.reference ?? '') } }
  }
  return volume
}

/** What only pods get, and templates do not. */
export function podDefaults(pod: Pod): Pod {
  const spec = completeOf.of(pod.spec, undefined, () => complete(pod.spec))
  return {
    ...pod,
    spec,
    status: {
      ...withAddresses(pod.status),
      phase: pod.status.phase ?? 'Pending',
      qosClass: pod.status.qosClass ?? qualityOf(spec),
    },
  }
}

const completeOf = new KeptDerivation<undefined, PodSpec>()

function complete(given: PodSpec): PodSpec {
  const shared = podSpecDefaults(given)
  return {
    ...shared,
    enableServiceLinks: shared.enableServiceLinks ?? true,
    ...(shared.containers && { containers: shared.containers.map(c => ownDefaults(c, shared.hostNetwork === true)) }),
    ...(shared.initContainers && {
      initContainers: shared.initContainers.map(c => ownDefaults(c, shared.hostNetwork === true)),
    }),
  }
}

function ownDefaults(container: Container, hostNetwork: boolean): Container {
  const { resources, ports } = container
  const limits = resources?.limits
  return {
    ...container,
    ...(limits && { resources: { ...resources, requests: { ...limits, ...resources.requests } } }),
    ...(hostNetwork &&
      ports && { ports: ports.map(port => ({ ...port, hostPort: port.hostPort || port.containerPort })) }),
  }
}

/** The two classes that every cluster has. */
export const systemPriorities: Readonly<Record<string, number>> = {
  'system-cluster-critical': 2_000_000_000,
  'system-node-critical': 2_000_001_000,
}
