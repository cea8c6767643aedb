// What is wrong with containers: names, images, ports, environment, mounts, probes, hooks (upstream: validateContainers in
// pkg/apis/core/validation). Paths are as in the object: spec.template.spec.containers[0].ports[1].
import { duplicateValue, forbidden, invalidValue, notFoundValue, requiredValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import { configKey, dnsLabel, environmentName, type NameRule, portName, portNumber } from '../names.ts'
import type { Container, ContainerPort, EnvVar, EphemeralContainer } from '../types/container.ts'
import type { PodSpec } from '../types/podspec.ts'
import type { Lifecycle, LifecycleHandler, Probe } from '../types/probe.ts'
import { validateFieldRef, validateResourceRef } from './downward.ts'
import { validateResources } from './resources.ts'
import { validateContainerSecurity } from './security.ts'

type AnyContainer = Container | EphemeralContainer

export function validateContainers(spec: PodSpec, path: string): readonly FieldError[] {
  const errors: FieldError[] = []
  const names = new Set<string>()
  const hostPorts = new Set<string>()
  const volumes = new Set((spec.volumes ?? []).map(({ name }) => name))
  const lists = [
    ['initContainers', spec.initContainers ?? []],
    ['containers', spec.containers ?? []],
    ['ephemeralContainers', spec.ephemeralContainers ?? []],
  ] as const
  for (const [list, containers] of lists) {
    for (const [i, container] of containers.entries()) {
      const at = `${path}.${list}[${i}]`
      errors.push(...validateContainer(container, at, volumes, spec))
      if (list === 'initContainers') errors.push(...validateInit(container as Container, at))
      if (names.has(container.name)) errors.push(duplicateValue(`${at}.name`, container.name))
      names.add(container.name)
      if (list === 'containers') {
        errors.push(...takeHostPorts(container.ports ?? [], `${at}.ports`, hostPorts))
        if (container.restartPolicy !== undefined) {
          errors.push(forbidden(`${at}.restartPolicy`, 'may not be set for non-init containers'))
        }
      }
      if (list === 'ephemeralContainers') errors.push(...validateEphemeral(container as EphemeralContainer, spec, at))
    }
  }
  return errors
}

function named(path: string, text: string, rule: NameRule): readonly FieldError[] {
  const wrong = text === '' ? undefined : rule(text)
  return wrong === undefined ? [] : [invalidValue(path, text, wrong)]
}

function validateContainer(
  container: AnyContainer,
  path: string,
  volumes: ReadonlySet<string>,
  { hostNetwork = false, hostUsers = true, terminationGracePeriodSeconds: grace }: PodSpec,
): readonly FieldError[] {
  const { image = '', lifecycle, livenessProbe, readinessProbe, startupProbe } = container
  const errors: FieldError[] = [...named(`${path}.name`, container.name ?? '', dnsLabel)]
  if (image === '') errors.push(requiredValue(`${path}.image`))
  else if (image.trim() !== image) {
    errors.push(invalidValue(`${path}.image`, image, 'must not have leading or trailing whitespace'))
  }
  errors.push(...validatePorts(container.ports ?? [], `${path}.ports`, hostNetwork))
  errors.push(...validateEnvironment(container, path), ...validateMounts(container, path, volumes))
  if (livenessProbe) errors.push(...validateProbe(livenessProbe, `${path}.livenessProbe`, true))
  if (readinessProbe) {
    errors.push(...validateProbe(readinessProbe, `${path}.readinessProbe`, false))
    if (readinessProbe.terminationGracePeriodSeconds !== undefined) {
      const at = `${path}.readinessProbe.terminationGracePeriodSeconds`
      errors.push(invalidValue(at, readinessProbe.terminationGracePeriodSeconds, 'must not be set for readinessProbes'))
    }
  }
  if (startupProbe) errors.push(...validateProbe(startupProbe, `${path}.startupProbe`, true))
  if (lifecycle) errors.push(...validateLifecycle(lifecycle, `${path}.lifecycle`, grace))
  errors.push(...validateResources(container.resources, `${path}.resources`))
  if (container.securityContext) {
    errors.push(...validateContainerSecurity(container.securityContext, `${path}.securityContext`, hostUsers))
  }
  return errors
}

function validateInit(container: Container, path: string): readonly FieldError[] {
  if (container.restartPolicy === 'Always') return []
  const only = 'may not be set for init containers without restartPolicy=Always'
  return (['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const)
    .filter(key => container[key] !== undefined)
    .map(key => forbidden(`${path}.${key}`, only))
}

function validateEphemeral(container: EphemeralContainer, spec: PodSpec, path: string): readonly FieldError[] {
  const errors: FieldError[] = []
  const target = container.targetContainerName ?? ''
  const all = [...(spec.containers ?? []), ...(spec.initContainers ?? [])]
  if (target !== '' && !all.some(({ name }) => name === target)) {
    errors.push(notFoundValue(`${path}.targetContainerName`, target))
  }
  const not = ['ports', 'livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle'] as const
  for (const key of not) {
    if (container[key] !== undefined) {
      errors.push(forbidden(`${path}.${key}`, 'cannot be set for an Ephemeral Container'))
    }
  }
  if (Object.keys(container.resources ?? {}).length > 0) {
    errors.push(forbidden(`${path}.resources`, 'cannot be set for an Ephemeral Container'))
  }
  return errors
}

function validatePorts(ports: readonly ContainerPort[], path: string, hostNetwork: boolean): readonly FieldError[] {
  const errors: FieldError[] = []
  const names = new Set<string>()
  for (const [i, port] of ports.entries()) {
    const at = `${path}[${i}]`
    const { name = '', containerPort, hostPort = 0, hostIP = '' } = port
    errors.push(...named(`${at}.name`, name, portName))
    if (name !== '' && names.has(name)) errors.push(duplicateValue(`${at}.name`, name))
    names.add(name)
    if (containerPort === 0) errors.push(requiredValue(`${at}.containerPort`))
    else errors.push(...numbered(`${at}.containerPort`, containerPort))
    if (hostPort !== 0) {
      errors.push(...numbered(`${at}.hostPort`, hostPort))
      if (hostNetwork && hostPort !== containerPort) {
        errors.push(invalidValue(`${at}.hostPort`, hostPort, 'must match `containerPort` when `hostNetwork` is true'))
      }
    }
    if (hostIP !== '' && !isAddress(hostIP)) {
      errors.push(invalidValue(`${at}.hostIP`, hostIP, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'))
    }
  }
  return errors
}

function numbered(path: string, port: number): readonly FieldError[] {
  const wrong = portNumber(port)
  return wrong === undefined ? [] : [invalidValue(path, port, wrong)]
}

/** A loose look: four numbers, or something with colons. */
export function isAddress(text: string): boolean {
  const parts = text.split('.')
  if (parts.length === 4) return parts.every(part => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)
  return text.includes(':') && /^[0-9a-fA-F:.]{2,45}$/.test(text)
}

function takeHostPorts(ports: readonly ContainerPort[], path: string, taken: Set<string>): readonly FieldError[] {
  const errors: FieldError[] = []
  for (const [i, { hostPort = 0, hostIP = '', protocol }] of ports.entries()) {
    if (hostPort === 0) continue
    const text = `${protocol}/${hostIP}/${hostPort}`
    if (taken.has(text)) errors.push(duplicateValue(`${path}[${i}].hostPort`, text))
    taken.add(text)
  }
  return errors
}

function validateEnvironment(container: AnyContainer, path: string): readonly FieldError[] {
  const errors: FieldError[] = []
  for (const [i, variable] of (container.env ?? []).entries()) {
    const at = `${path}.env[${i}]`
    errors.push(...named(`${at}.name`, variable.name ?? '', environmentName))
    if (variable.valueFrom) errors.push(...validateValueFrom(variable, `${at}.valueFrom`))
  }
  for (const [i, source] of (container.envFrom ?? []).entries()) {
    const at = `${path}.envFrom[${i}]`
    const { configMapRef, secretRef, prefix = '' } = source
    errors.push(...named(`${at}.prefix`, prefix, environmentName))
    if (configMapRef && secretRef)
      errors.push(invalidValue(at, '', 'may not have more than one field specified at a time'))
    else if (!configMapRef && !secretRef) {
      errors.push(invalidValue(at, '', 'must specify one of: `configMapRef` or `secretRef`'))
    }
    if (configMapRef && !configMapRef.name) errors.push(requiredValue(`${at}.configMapRef.name`))
    if (secretRef && !secretRef.name) errors.push(requiredValue(`${at}.secretRef.name`))
  }
  return errors
}

function validateValueFrom({ value = '', valueFrom }: EnvVar, path: string): readonly FieldError[] {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom ?? {}
  const errors: FieldError[] = []
  const count = [fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef].filter(Boolean).length
  if (count === 0) {
    const names = '`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`'
    errors.push(invalidValue(path, '', `must specify one of: ${names}`))
  } else if (value !== '') errors.push(invalidValue(path, '', 'may not be specified when `value` is not empty'))
  else if (count > 1) errors.push(invalidValue(path, '', 'may not have more than one field specified at a time'))
  if (fieldRef) errors.push(...validateFieldRef(fieldRef, `${path}.fieldRef`, 'variable'))
  if (resourceFieldRef) errors.push(...validateResourceRef(resourceFieldRef, `${path}.resourceFieldRef`, 'variable'))
  for (const [name, ref] of [
    ['configMapKeyRef', configMapKeyRef],
    ['secretKeyRef', secretKeyRef],
  ] as const) {
    if (!ref) continue
    if (!ref.name) errors.push(requiredValue(`${path}.${name}.name`))
    errors.push(...named(`${path}.${name}.key`, ref.key ?? '', configKey))
  }
  return errors
}

function validateMounts(container: AnyContainer, path: string, volumes: ReadonlySet<string>): readonly FieldError[] {
  const errors: FieldError[] = []
  const paths = new Set<string>()
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    const at = `${path}.volumeMounts[${i}]`
    const { name, mountPath, subPath = '', subPathExpr = '', mountPropagation } = mount
    if (name && !volumes.has(name)) errors.push(notFoundValue(`${at}.name`, name))
    if (mountPath && paths.has(mountPath)) errors.push(invalidValue(`${at}.mountPath`, mountPath, 'must be unique'))
    paths.add(mountPath)
    errors.push(...validateSubPath(subPath, `${at}.subPath`), ...validateSubPath(subPathExpr, `${at}.subPathExpr`))
    if (subPath !== '' && subPathExpr !== '') {
      errors.push(invalidValue(`${at}.subPathExpr`, subPathExpr, 'subPathExpr and subPath are mutually exclusive'))
    }
    if (mountPropagation === 'Bidirectional' && container.securityContext?.privileged !== true) {
      const why = 'Bidirectional mount propagation is available only to privileged containers'
      errors.push(forbidden(`${at}.mountPropagation`, why))
    }
  }
  return errors
}

/** A path that stays below where it starts. */
export function validateSubPath(text: string, path: string): readonly FieldError[] {
  if (text.startsWith('/')) return [invalidValue(path, text, 'must be a relative path')]
  return text.split('/').includes('..') ? [invalidValue(path, text, "must not contain '..'")] : []
}

function validateProbe(probe: Probe, path: string, once: boolean): readonly FieldError[] {
  const errors: FieldError[] = [...validateHandler(probe, path)]
  const numbers = [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ] as const
  for (const key of numbers) {
    const value = probe[key] ?? 0
    if (value < 0) errors.push(invalidValue(`${path}.${key}`, value, 'must be greater than or equal to 0'))
  }
  if (once && probe.successThreshold !== 1) {
    errors.push(invalidValue(`${path}.successThreshold`, probe.successThreshold, 'must be 1'))
  }
  const grace = probe.terminationGracePeriodSeconds
  if (grace !== undefined && grace <= 0) {
    errors.push(invalidValue(`${path}.terminationGracePeriodSeconds`, grace, 'must be greater than 0'))
  }
  return errors
}

function validateLifecycle(
  { postStart, preStop }: Lifecycle,
  path: string,
  grace: number | undefined,
): readonly FieldError[] {
  return [
    ...(postStart ? validateHandler(postStart, `${path}.postStart`, grace) : []),
    ...(preStop ? validateHandler(preStop, `${path}.preStop`, grace) : []),
  ]
}

type Handler = Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket' | 'grpc'> & Pick<LifecycleHandler, 'sleep'>

/** Exactly one way to act. `grace`: how long a pod may take to end, in seconds, where that bounds it. */
function validateHandler(handler: Handler, path: string, grace?: number): readonly FieldError[] {
  const { exec, httpGet, tcpSocket, grpc, sleep } = handler
  const set = (['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const).filter(key => handler[key] !== undefined)
  if (set.length === 0) return [requiredValue(path, 'must specify a handler type')]
  const errors = set.slice(1).map(key => forbidden(`${path}.${key}`, 'may not specify more than 1 handler type'))
  if (exec && (exec.command ?? []).length === 0) errors.push(requiredValue(`${path}.exec.command`))
  if (httpGet) {
    if (!httpGet.path) errors.push(requiredValue(`${path}.httpGet.path`))
    errors.push(...validatePortRef(httpGet.port, `${path}.httpGet.port`))
    for (const [i, header] of (httpGet.httpHeaders ?? []).entries()) {
      if (!/^[-A-Za-z0-9]+$/.test(header.name ?? '')) {
        const why = "a valid HTTP header must consist of alphanumeric characters or '-'"
        errors.push(invalidValue(`${path}.httpGet.httpHeaders[${i}].name`, header.name, why))
      }
    }
  }
  if (tcpSocket) errors.push(...validatePortRef(tcpSocket.port, `${path}.tcpSocket.port`))
  if (grpc) errors.push(...numbered(`${path}.grpc.port`, grpc.port))
  if (sleep && grace !== undefined && (sleep.seconds < 0 || sleep.seconds > grace)) {
    const why = `must be non-negative and less than terminationGracePeriodSeconds (${grace})`
    errors.push(invalidValue(`${path}.sleep`, sleep.seconds, why))
  }
  return errors
}

function validatePortRef(port: number | string | undefined, path: string): readonly FieldError[] {
  if (port === undefined) return []
  return typeof port === 'number' ? numbered(path, port) : named(path, port, portName)
}
