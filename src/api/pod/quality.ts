// The quality-of-service class of a pod. https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
import { Derivation } from '../../lib/kept.ts'
import { compareQuantity } from '../../lib/quantity.ts'
import type { PodSpec } from '../types/podspec.ts'

const counted = ['cpu', 'memory'] as const

type Amounts = Readonly<Record<string, string>> | undefined

function has(amounts: Amounts, name: string): boolean {
  const amount = amounts?.[name]
  return amount !== undefined && compareQuantity(amount, '0') > 0
}

type Quality = 'Guaranteed' | 'Burstable' | 'BestEffort'

const qualities = new Derivation<undefined, Quality>()

export function qualityOf(spec: PodSpec): Quality {
  return qualities.of(spec, undefined, () => computed(spec))
}

function computed(spec: PodSpec): Quality {
  const resources = spec.resources ? [spec.resources] : []
  const all =
    resources.length > 0
      ? resources
      : [...(spec.containers ?? []), ...(spec.initContainers ?? [])].map(c => c.resources)
  const asksNothing = all.every(r => counted.every(name => !has(r?.requests, name) && !has(r?.limits, name)))
  if (asksNothing) return 'BestEffort'
  const guaranteed = all.every(r =>
    counted.every(name => {
      const limit = r?.limits?.[name]
      const request = r?.requests?.[name] ?? limit
      return (
        has(r?.limits, name) && limit !== undefined && request !== undefined && compareQuantity(limit, request) === 0
      )
    }),
  )
  return guaranteed ? 'Guaranteed' : 'Burstable'
}
