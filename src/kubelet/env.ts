// A container's environment: envFrom, env with $(VAR) expansion, the downward API and the service variables, in
// Kubernetes' order of precedence: services, then envFrom, then env.
// https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
import type { ObjectOf } from '../api/kind.ts'
import type { configMap as configMapKind } from '../api/kinds/configmap.ts'
import type { secret as secretKind } from '../api/kinds/secret.ts'
import type { service as serviceKind } from '../api/kinds/service.ts'
import type { Container, EnvVarSource, EphemeralContainer } from '../api/types/container.ts'
import { milliOf, numberOf } from '../lib/quantity.ts'
import type { Pod } from './plan.ts'

export type ConfigMap = ObjectOf<typeof configMapKind>
export type Secret = ObjectOf<typeof secretKind>
export type Service = ObjectOf<typeof serviceKind>

/** What containers of a pod may refer to, of the pod's own namespace. */
export type References = {
  configMap(name: string): ConfigMap | undefined
  secret(name: string): Secret | undefined
  readonly services: readonly Service[]
  /** The API's own service, in namespace default. */
  readonly apiService: Service | undefined
  readonly nodeName: string
  readonly nodeIp: string
  readonly podIp: string | undefined
  readonly allocatable: { readonly cpuMilli: number; readonly memoryBytes: number }
  /** Text of a secret's base64 value. */
  decode(base64: string): string
}

/** A reference that cannot be resolved; the container waits with CreateContainerConfigError. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** Replaces $(NAME) by its value; $$ is a dollar; an unknown name stays as it is written. */
export function expand(text: string, values: ReadonlyMap<string, string>): string {
  return text.replace(/\$(\$|\(([^)]*)\))/g, (whole, inner: string, name: string | undefined) => {
    if (inner === '$') return '$'
    return name === undefined ? whole : (values.get(name) ?? whole)
  })
}

export function environmentOf(
  pod: Pod,
  container: Container | EphemeralContainer,
  references: References,
): ReadonlyMap<string, string> {
  const values = new Map<string, string>()
  for (const service of servicesFor(pod, references)) {
    for (const [name, value] of serviceVariables(service)) values.set(name, value)
  }
  for (const source of container.envFrom ?? []) {
    for (const [key, value] of fromSource(source, references)) values.set(`${source.prefix ?? ''}${key}`, value)
  }
  for (const variable of container.env ?? []) {
    const value =
      variable.valueFrom === undefined
        ? expand(variable.value ?? '', values)
        : valueFrom(variable.valueFrom, pod, container, references)
    if (value !== undefined) values.set(variable.name, value)
  }
  return values
}

function fromSource(
  source: NonNullable<Container['envFrom']>[number],
  references: References,
): readonly (readonly [string, string])[] {
  const { configMapRef, secretRef } = source
  if (configMapRef !== undefined) {
    const found = references.configMap(configMapRef.name ?? '')
    if (found === undefined && configMapRef.optional !== true) {
      throw new ConfigError(`configmap "${configMapRef.name ?? ''}" not found`)
    }
    return Object.entries(found?.data ?? {})
  }
  if (secretRef !== undefined) {
    const found = references.secret(secretRef.name ?? '')
    if (found === undefined && secretRef.optional !== true) {
      throw new ConfigError(`secret "${secretRef.name ?? ''}" not found`)
    }
    return Object.entries(found?.data ?? {}).map(([key, value]) => [key, references.decode(value)])
  }
  return []
}

function valueFrom(
  source: EnvVarSource,
  pod: Pod,
  container: Container | EphemeralContainer,
  references: References,
): string | undefined {
  if (source.fieldRef !== undefined) return fieldOf(pod, source.fieldRef.fieldPath, references)
  if (source.resourceFieldRef !== undefined) return resourceFieldOf(pod, container, source.resourceFieldRef, references)
  if (source.configMapKeyRef !== undefined) {
    const { name = '', key, optional } = source.configMapKeyRef
    const found = references.configMap(name)
    const value = found?.data?.[key]
    if (value !== undefined) return value
    if (optional === true) return undefined
    throw new ConfigError(
      found === undefined
        ? `configmap "${name}" not found`
        : `couldn't find key ${key} in ConfigMap ${placed(pod, name)}`,
    )
  }
  if (source.secretKeyRef !== undefined) {
    const { name = '', key, optional } = source.secretKeyRef
    const found = references.secret(name)
    const value = found?.data?.[key]
    if (value !== undefined) return references.decode(value)
    if (optional === true) return undefined
    throw new ConfigError(
      found === undefined ? `secret "${name}" not found` : `couldn't find key ${key} in Secret ${placed(pod, name)}`,
    )
  }
  return ''
}

function placed(pod: Pod, name: string): string {
  return `${pod.metadata.namespace ?? ''}/${name}`
}

/** The downward API's fields. https://kubernetes.io/docs/concepts/workloads/pods/downward-api/ */
export function fieldOf(pod: Pod, path: string, references: Pick<References, 'nodeIp' | 'podIp'>): string {
  const keyed = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(path)
  if (keyed !== null) return pod.metadata[keyed[1] as 'labels' | 'annotations']?.[keyed[2] ?? ''] ?? ''
  switch (path) {
    case 'metadata.name':
      return pod.metadata.name
    case 'metadata.namespace':
      return pod.metadata.namespace ?? ''
    case 'metadata.uid':
      return pod.metadata.uid
    case 'metadata.labels':
      return lines(pod.metadata.labels)
    case 'metadata.annotations':
      return lines(pod.metadata.annotations)
    case 'spec.nodeName':
      return pod.spec.nodeName ?? ''
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? ''
    case 'status.hostIP':
    case 'status.hostIPs':
      return references.nodeIp
    case 'status.podIP':
    case 'status.podIPs':
      return references.podIp ?? ''
    default:
      throw new ConfigError(`field path not supported: ${path}`)
  }
}

function lines(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n')
}

/** limits.cpu and kin, divided and rounded up; without a limit the node's allocatable stands in. */
export function resourceFieldOf(
  pod: Pod,
  container: Pick<Container, 'name' | 'resources'>,
  ref: { readonly resource: string; readonly divisor: string; readonly containerName?: string },
  references: Pick<References, 'allocatable'>,
): string {
  const other = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find(c => c.name === ref.containerName)
  const { resources } = other ?? container
  const [which = '', ...rest] = ref.resource.split('.')
  const name = rest.join('.')
  const list = which === 'limits' ? resources.limits : resources.requests
  const given = list?.[name]
  const divisor = ref.divisor === '0' || ref.divisor === '' ? '1' : ref.divisor
  if (name === 'cpu') {
    const milli = given !== undefined ? milliOf(given) : which === 'limits' ? references.allocatable.cpuMilli : 0
    return String(Math.ceil(milli / milliOf(divisor)))
  }
  const bytes =
    given !== undefined
      ? numberOf(given)
      : which === 'limits' && name === 'memory'
        ? references.allocatable.memoryBytes
        : 0
  return String(Math.ceil(bytes / numberOf(divisor)))
}

function servicesFor(pod: Pod, references: References): readonly Service[] {
  const api = references.apiService
  const own = pod.spec.enableServiceLinks ? references.services : []
  return api === undefined ? own : [...own.filter(one => one.metadata.uid !== api.metadata.uid), api]
}

/** WEB_SERVICE_HOST and the Docker-style WEB_PORT_80_TCP_ADDR and kin. */
function serviceVariables(service: Service): readonly (readonly [string, string])[] {
  const ip = service.spec.clusterIP
  const ports = service.spec.ports ?? []
  const first = ports[0]
  if (ip === undefined || ip === '' || ip === 'None' || first === undefined) return []
  const prefix = service.metadata.name.toUpperCase().replaceAll('-', '_')
  const out: [string, string][] = [
    [`${prefix}_SERVICE_HOST`, ip],
    [`${prefix}_SERVICE_PORT`, String(first.port)],
  ]
  for (const port of ports) {
    if (port.name !== undefined) {
      out.push([`${prefix}_SERVICE_PORT_${port.name.toUpperCase().replaceAll('-', '_')}`, String(port.port)])
    }
  }
  out.push([`${prefix}_PORT`, `${first.protocol.toLowerCase()}://${ip}:${first.port}`])
  for (const port of ports) {
    const protocol = port.protocol.toLowerCase()
    const stem = `${prefix}_PORT_${port.port}_${port.protocol}`
    out.push([stem, `${protocol}://${ip}:${port.port}`])
    out.push([`${stem}_PROTO`, protocol], [`${stem}_PORT`, String(port.port)], [`${stem}_ADDR`, ip])
  }
  return out
}
