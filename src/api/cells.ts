// Cells that several kinds' tables share, in the words of kubectl (upstream: pkg/printers/internalversion/printers.go).
import { age } from '../lib/duration.ts'
import { formatLabelSelector, requirementsOf } from '../lib/selector.ts'
import { sortedBy } from '../lib/sorted.ts'
import type { Column, KubeObject } from './kind.ts'
import type { LabelSelector } from './types/meta.ts'
import type { PodSpec } from './types/podspec.ts'

export const nameColumn: Column<KubeObject> = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name must be unique within a namespace.',
  cell: object => object.metadata.name,
}

export const ageColumn: Column<KubeObject> = {
  name: 'Age',
  type: 'string',
  description: 'CreationTimestamp is the time at which the object was created.',
  cell: (object, nowMs) => age(object.metadata.creationTimestamp, nowMs),
}

/** What is shown, behind the name, of kinds for which Kubernetes has no columns; such a kind has no AGE. */
export const createdAtColumn: Column<KubeObject> = {
  name: 'Created At',
  type: 'date',
  description: 'CreationTimestamp is the time at which the object was created.',
  cell: object => object.metadata.creationTimestamp,
}

/** 'a=b,c=d'. */
export function labelsText(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = sortedBy(Object.entries(labels ?? {}), ([key]) => key).map(([key, value]) => `${key}=${value}`)
  return pairs.join(',') || '<none>'
}

export function selectorText(selector: LabelSelector | undefined): string {
  return formatLabelSelector(requirementsOf(selector) ?? []) || '<none>'
}

/** At most three, and how many more there are. */
export function shortList(items: readonly string[], none: string): string {
  const shown = items.slice(0, 3).join(',')
  return items.length > 3 ? `${shown} + ${items.length - 3} more...` : shown || none
}

/** The columns CONTAINERS and IMAGES of what carries a pod template. */
export function containerColumns<T extends KubeObject>(
  specOf: (object: T) => PodSpec | undefined,
  priority: 0 | 1 = 1,
): readonly Column<T>[] {
  return [
    {
      name: 'Containers',
      type: 'string',
      priority,
      description: 'Names of each container in the template.',
      cell: object => (specOf(object)?.containers ?? []).map(({ name }) => name).join(','),
    },
    {
      name: 'Images',
      type: 'string',
      priority,
      description: 'Images referenced by each container in the template.',
      cell: object => (specOf(object)?.containers ?? []).map(({ image }) => image ?? '').join(','),
    },
  ]
}
