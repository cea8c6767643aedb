// metadata.managedFields as a table: who (manager, operation, version, subresource) owns which fields since when.
// Upstream: apimachinery/pkg/util/managedfields/internal.
import { parseRfc3339 } from '../../lib/duration.ts'
import { compareText } from '../../lib/sorted.ts'
import type { KubeObject } from '../kind.ts'
import type { ManagedFieldsEntry } from '../types/meta.ts'
import { decodeSet, emptySet, encodeSet, type FieldSet, isEmptySet, union } from './fieldset.ts'

export type Operation = 'Apply' | 'Update'

export type Manager = {
  readonly name: string
  readonly operation: Operation
  readonly apiVersion: string
  readonly subresource: string
  readonly time: string | undefined
  readonly set: FieldSet
}

export type Managers = ReadonlyMap<string, Manager>

/** Updates of more than these managers are thrown together, oldest first. */
export const updateManagerCountMax = 10
const ancient = 'ancient-changes'

/** An applier is the same whatever version it applies. */
export function managerKey(manager: Pick<Manager, 'name' | 'operation' | 'apiVersion' | 'subresource'>): string {
  const { name, operation, apiVersion, subresource } = manager
  return JSON.stringify([name, operation, operation === 'Apply' ? '' : apiVersion, subresource])
}

export function readManagers(object: KubeObject | undefined): Managers {
  const managers = new Map<string, Manager>()
  for (const entry of object?.metadata.managedFields ?? []) {
    const manager: Manager = {
      name: entry.manager ?? '',
      operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
      apiVersion: entry.apiVersion ?? '',
      subresource: entry.subresource ?? '',
      time: entry.time,
      set: decodeSet(entry.fieldsV1),
    }
    const key = managerKey(manager)
    const same = managers.get(key)
    managers.set(key, same ? { ...manager, set: union(same.set, manager.set) } : manager)
  }
  return managers
}

export function writeManagers(managers: Managers): readonly ManagedFieldsEntry[] {
  return [...managers.values()]
    .filter(({ set }) => !isEmptySet(set))
    .toSorted(order)
    .map(({ name, operation, apiVersion, subresource, time, set }) => ({
      manager: name,
      operation,
      apiVersion,
      ...(time !== undefined && { time }),
      fieldsType: 'FieldsV1',
      fieldsV1: encodeSet(set),
      ...(subresource !== '' && { subresource }),
    }))
}

function order(a: Manager, b: Manager): number {
  return (
    compareText(a.operation, b.operation) ||
    (parseRfc3339(a.time ?? '') ?? 0) - (parseRfc3339(b.time ?? '') ?? 0) ||
    compareText(a.name, b.name) ||
    compareText(a.apiVersion, b.apiVersion) ||
    compareText(a.subresource, b.subresource)
  )
}

export function capManagers(managers: Managers): Managers {
  const updates = [...managers].filter(([, { operation, subresource }]) => operation === 'Update' && subresource === '')
  if (updates.length <= updateManagerCountMax) return managers
  const oldestFirst = updates.toSorted(([, a], [, b]) => order(a, b))
  const capped = new Map(managers)
  for (const [key, manager] of oldestFirst) {
    const count = [...capped.values()].filter(m => m.operation === 'Update' && m.subresource === '').length
    if (count <= updateManagerCountMax) break
    if (manager.name === ancient) continue
    capped.delete(key)
    const bucket = { ...manager, name: ancient }
    const into = capped.get(managerKey(bucket))
    capped.set(managerKey(bucket), { ...bucket, set: union(into?.set ?? emptySet, manager.set) })
  }
  return capped
}

/** In the words of a conflict: "kubectl-edit" using apps/v1. */
export function managerText({ name, operation, apiVersion, subresource }: Manager): string {
  const whole = `${JSON.stringify(name)}${subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`}`
  return operation === 'Update' ? `${whole} using ${apiVersion}` : whole
}
