// What /resize may change: the cpu and memory of containers that go on running (upstream: podResizeStrategy in
// pkg/registry/core/pod and ValidatePodResize in pkg/apis/core/validation).
// https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/
import { compareQuantity } from '../../lib/quantity.ts'
import { equalJson } from '../equal.ts'
import { forbidden, invalidValue } from '../field.ts'
import type { FieldError } from '../kind.ts'
import type { Pod } from '../kinds/pod.ts'
import type { Container, ResourceRequirements } from '../types/container.ts'
import type { PodSpec } from '../types/podspec.ts'
import { qualityOf } from './quality.ts'

type Containers = readonly Container[]
const lists = ['containers', 'initContainers'] as const

const isOrdered = (now: Containers, old: Containers): boolean =>
  now.length === old.length && now.every(({ name }, i) => name === old[i]?.name)

/** The old pod with the new containers' resources. Other containers than there were are left for validation to refuse. */
export function prepareResize(pod: Pod, old: Pod): Pod {
  const [containers, initContainers] = lists.map(list => {
    const now = pod.spec[list] ?? []
    const before = old.spec[list] ?? []
    if (!isOrdered(now, before)) return now
    return before.map((container, i) => ({ ...withoutPolicy(container), ...resizable(now[i] ?? container) }))
  })
  const spec = withContainers(old.spec, containers, initContainers)
  const { managedFields, resourceVersion } = pod.metadata
  const { managedFields: _, ...metadata } = old.metadata
  return {
    ...pod,
    metadata: { ...metadata, resourceVersion, ...(managedFields && { managedFields }) },
    spec,
  }
}

const resizable = ({ resources, resizePolicy }: Container): Pick<Container, 'resources'> & Partial<Container> => ({
  resources,
  ...(resizePolicy && { resizePolicy }),
})

function withoutPolicy({ resizePolicy: _, ...rest }: Container): Container {
  return rest
}

/** A node that can do it says of each container what it has; where none runs, nobody knows yet. */
function isSupported({ status }: Pod): boolean {
  const running = (status.containerStatuses ?? []).find(({ state }) => state?.running !== undefined)
  return running === undefined || running.resources !== undefined
}

export function validateResize(pod: Pod, old: Pod): readonly FieldError[] {
  const errors: FieldError[] = []
  if ((old.status.qosClass ?? qualityOf(old.spec)) !== qualityOf(pod.spec)) {
    const why = 'Pod QOS Class may not change as a result of resizing'
    errors.push(invalidValue('spec', pod.status.qosClass ?? qualityOf(old.spec), why))
  }
  if (!isSupported(old)) errors.push(forbidden('spec', 'Pod running on node without support for resize'))
  const moved = lists.flatMap(list => orderErrors(list, pod.spec[list] ?? [], old.spec[list] ?? []))
  if (moved.length > 0) return [...errors, ...moved]
  for (const list of lists) {
    for (const [i, before] of (old.spec[list] ?? []).entries()) {
      const now = pod.spec[list]?.[i]
      if (now === undefined || !mayResize(list, before)) continue
      errors.push(...containerErrors(now, before, `spec.${list}[${i}].resources`))
    }
  }
  if (!equalJson(withOldAmounts(pod.spec, old.spec), old.spec)) {
    errors.push(forbidden('spec', 'only cpu and memory resources are mutable'))
  }
  return errors
}

const mayResize = (list: (typeof lists)[number], { restartPolicy }: Container): boolean =>
  list === 'containers' || restartPolicy === 'Always'

function orderErrors(list: (typeof lists)[number], now: Containers, old: Containers): readonly FieldError[] {
  if (now.length !== old.length) return [forbidden(`spec.${list}`, `${list} may not be added or removed on resize`)]
  return now.flatMap(({ name }, i) =>
    name === old[i]?.name
      ? []
      : [forbidden(`spec.${list}[${i}].name`, `${list} may not be renamed or reordered on resize`)],
  )
}

function containerErrors(now: Container, old: Container, path: string): readonly FieldError[] {
  const errors = (['requests', 'limits'] as const).flatMap(what => {
    const isRemoved = Object.keys(old.resources[what] ?? {}).some(name => now.resources[what]?.[name] === undefined)
    return isRemoved ? [forbidden(`${path}.${what}`, `resource ${what} cannot be removed`)] : []
  })
  const [limit, before] = [now.resources.limits?.['memory'], old.resources.limits?.['memory']]
  const restarts = (now.resizePolicy ?? []).some(
    ({ resourceName, restartPolicy }) => resourceName === 'memory' && restartPolicy === 'RestartContainer',
  )
  if (restarts || limit === undefined || before === undefined || compareQuantity(limit, before) >= 0) return errors
  const why = 'memory limits cannot be decreased unless resizePolicy is RestartContainer'
  return [...errors, forbidden(`${path}.limits[memory]`, why)]
}

/** With all that may change taken from `old`. */
function withOldAmounts(spec: PodSpec, old: PodSpec): PodSpec {
  const [containers, initContainers] = lists.map(list =>
    (spec[list] ?? []).map((container, i) => {
      const before = old[list]?.[i]
      if (before === undefined || !mayResize(list, before)) return container
      const { resizePolicy: _, ...rest } = container
      const { resizePolicy } = before
      const resources = oldAmounts(container.resources, before.resources)
      return { ...rest, resources, ...(resizePolicy && { resizePolicy }) }
    }),
  )
  return withContainers(spec, containers, initContainers)
}

function withContainers(spec: PodSpec, containers: Containers = [], initContainers: Containers = []): PodSpec {
  const { initContainers: _, ...rest } = spec
  return { ...rest, containers, ...(initContainers.length > 0 && { initContainers }) }
}

function oldAmounts(now: ResourceRequirements, old: ResourceRequirements): ResourceRequirements {
  const { requests: _, limits: __, ...rest } = now
  const requests = amounts(now.requests, old.requests)
  const limits = amounts(now.limits, old.limits)
  return { ...rest, ...(requests && { requests }), ...(limits && { limits }) }
}

type Amounts = Readonly<Record<string, string>> | undefined

function amounts(now: Amounts, old: Amounts): Amounts {
  const { cpu: _, memory: __, ...others } = now ?? {}
  const kept = ['cpu', 'memory'].flatMap(name => (old?.[name] === undefined ? [] : [[name, old[name]] as const]))
  const all = { ...others, ...Object.fromEntries(kept) }
  return Object.keys(all).length === 0 ? undefined : all
}
