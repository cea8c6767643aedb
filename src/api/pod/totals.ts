// What a pod asks for and may use as a whole, exactly: for quotas and limit ranges. Init containers run one after another,
// beside the sidecars that were started before them, so the larger of the two counts.
// After kubernetes staging/src/k8s.io/component-helpers/resource.
import { addQuantity, compareQuantity } from '../../lib/quantity.ts'
import type { Container } from '../types/container.ts'
import type { PodSpec } from '../types/podspec.ts'

export type Amounts = Readonly<Record<string, string>>

export function addAmounts(a: Amounts, b: Amounts): Amounts {
  const sum: Record<string, string> = { ...a }
  for (const [name, amount] of Object.entries(b)) sum[name] = addQuantity(sum[name] ?? '0', amount)
  return sum
}

function mostOf(a: Amounts, b: Amounts): Amounts {
  const most: Record<string, string> = { ...a }
  for (const [name, amount] of Object.entries(b)) {
    const other = most[name]
    if (other === undefined || compareQuantity(amount, other) > 0) most[name] = amount
  }
  return most
}

/** Without what the pod's sandbox takes (spec.overhead). */
export function totalOf(spec: PodSpec, what: 'requests' | 'limits'): Amounts {
  const of = ({ resources }: Container): Amounts => resources?.[what] ?? {}
  let total: Amounts = {}
  for (const container of spec.containers ?? []) total = addAmounts(total, of(container))
  let sidecars: Amounts = {}
  let start: Amounts = {}
  for (const container of spec.initContainers ?? []) {
    if (container.restartPolicy === 'Always') {
      total = addAmounts(total, of(container))
      sidecars = addAmounts(sidecars, of(container))
      start = mostOf(start, sidecars)
    } else start = mostOf(start, addAmounts(of(container), sidecars))
  }
  // A pod that says what it needs as a whole is taken at its word.
  return { ...mostOf(total, start), ...spec.resources?.[what] }
}

/** With it; a limit grows by it only where there is one. */
export function totalWithOverhead(spec: PodSpec, what: 'requests' | 'limits'): Amounts {
  const total = totalOf(spec, what)
  const overhead = Object.entries(spec.overhead ?? {})
  const counts = what === 'requests' ? overhead : overhead.filter(([name]) => total[name] !== undefined)
  return addAmounts(total, Object.fromEntries(counts))
}
